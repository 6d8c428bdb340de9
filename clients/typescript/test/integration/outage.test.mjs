// Real gateways that stop, die, freeze and come back under the client.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';

import { closeClientsAfterwards, connected, newClient, payload, RememberingLogger } from '../support/fixtures.mjs';
import { gatewayCount, Server } from '../support/gateways.mjs';
import { until } from '../support/patience.mjs';

const options = { callTimeoutMs: 2000, totalTimeoutMs: 60_000 };
const idsOf = (messages) => messages.map(({ id }) => id);

// A phone at a mediator: acknowledges what comes, and keeps the ids in the order in which they came.
function phoneAt(client, connectionId) {
  const received = [];
  client.messagesReceived(async ({ messages }) => {
    received.push(...idsOf(messages));
    await client.removeMessages({ connectionId, messageIds: idsOf(messages) });
  });
  return received;
}

function add(client, connectionId, text) {
  return client.addMessage({ connectionId, recipientDids: [], payload: payload(text) });
}

// Adds while `outage` runs, and a moment longer; then each answered message is there once.
async function addThrough(outage, client) {
  const connectionId = randomUUID();
  const adds = [];
  let running = true;
  const load = (async () => {
    for (let n = 0; running; n += 1) {
      adds.push(add(client, connectionId, `m${n}`));
      if (n % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 25));
    }
  })();
  await until(() => adds.length > 100, 'some load');
  await outage();
  const before = adds.length;
  await until(() => adds.length > before + 100, 'more load');
  running = false;
  await load;
  const ids = await Promise.all(adds);
  assert.equal(new Set(ids).size, ids.length);
  const kept = [];
  for (;;) {
    const batch = await client.takeFromQueue({ connectionId, limit: 500, deleteMessages: true });
    if (batch.length === 0) break;
    kept.push(...idsOf(batch));
  }
  assert.equal(kept.length, ids.length);
  assert.deepEqual([...kept].sort(), [...ids].sort());
}

describe('Outages', { timeout: 300_000 }, () => {
  const servers = [];
  const started = async (more) => {
    const server = await Server.start(more);
    servers.push(server);
    return server;
  };
  // Two gateways, the first of which can die, freeze and come back: they share their messages if the
  // run is about two, else they have nothing in common.
  const pair = async () => {
    const server = await started();
    const other = gatewayCount === 2 ? server : await started();
    return { urls: [server.url, other.urls.at(-1)], first: server.gateways[0] };
  };
  closeClientsAfterwards();
  after(async () => Promise.all(servers.map((server) => server.stop())));

  for (const how of ['stop', 'kill']) {
    test(`${how} and restart under load: every add ends well, nothing is lost or doubled`, async () => {
      const server = await started();
      const client = await connected({ ...options, url: server.urls });
      await addThrough(async () => {
        await server[how]();
        await server.relaunch();
      }, client);
    });

    test(`live sessions go on after ${how} and restart, without a word of the mediator`, async () => {
      const server = await started();
      const logger = new RememberingLogger();
      const mediator = await connected({ ...options, url: server.urls, logger });
      const sender = await connected({ ...options, url: [...server.urls].reverse() });
      const reopened = () =>
        logger.lines.filter(({ message }) => message.startsWith('Opened a live session')).length;
      const connectionId = randomUUID();
      const received = phoneAt(mediator, connectionId);
      await mediator.addLiveSession({ connectionId, sessionId: 's1' });
      const ids = [await add(sender, connectionId, 'before')];
      await until(() => received.length === 1, 'the first message');
      for (let round = 0; round < 3; round += 1) {
        const before = reopened();
        await server[how]();
        await server.relaunch();
        ids.push(await add(sender, connectionId, `after ${round}`));
        await until(() => new Set(received).size === ids.length, 'the next message');
        await until(() => reopened() > before, 'a session that was opened again');
      }
      assert.deepEqual([...new Set(received)], ids);
      await until(async () => {
        const { messageCount, inFlight } = await mediator.getQueueStatus({ connectionId });
        return messageCount + inFlight === 0;
      }, 'an empty queue');
    });
  }

  test('a gateway that dies is replaced by the next address, with its live sessions', async () => {
    const { urls: url, first } = await pair();
    const mediator = await connected({ ...options, url });
    const sender = await connected({ ...options, url });
    const connectionId = randomUUID();
    const received = phoneAt(mediator, connectionId);
    await mediator.addLiveSession({ connectionId, sessionId: 's1' });
    const ids = [await add(sender, connectionId, 'to the first')];
    await until(() => received.length === 1, 'the first message');
    await first.end('SIGKILL');
    ids.push(await add(sender, connectionId, 'to the second'));
    await until(() => received.length === 2, 'the second message');
    assert.deepEqual(received, ids);
    await until(async () => mediator.getLiveSession({ connectionId }), 'the session at the second');
    await first.launch(15_000);
  });

  test('a frozen gateway is left for the next address within the time of a call', async () => {
    const { urls, first } = await pair();
    const client = await connected({ ...options, callTimeoutMs: 500, url: urls });
    first.child.kill('SIGSTOP');
    try {
      assert.equal(await client.ping(), 'pong');
    } finally {
      first.child.kill('SIGCONT');
    }
  });

  // Two gateways of the embedded store share nothing.
  if (gatewayCount === 2) {
    test('gateways die in turn under load: every add ends well, nothing is lost or doubled', async () => {
      const server = await started();
      const client = await connected({ ...options, url: server.urls });
      await addThrough(async () => {
        for (const gateway of server.gateways) {
          await gateway.end('SIGKILL');
          await gateway.launch(15_000);
        }
      }, client);
    });
  }

  test('a mediator may start before its gateway', async () => {
    const server = await started();
    await server.stop();
    const client = newClient({ ...options, url: server.url, firstConnect: 'retry' });
    const connecting = client.connect();
    await server.relaunch();
    await connecting;
    assert.equal(await client.ping(), 'pong');
  });

  test('a token opens the door, a wrong one rejects connect', async () => {
    const server = await started({ env: { MPR_AUTH_TOKEN: 'a-secret-of-the-test' } });
    const client = await connected({ ...options, url: server.url, token: () => 'a-secret-of-the-test' });
    assert.equal(await client.getAvailableMessageCount({ connectionId: 'c1' }), 0);
    for (const token of ['wrong', undefined]) {
      const other = newClient({ ...options, url: server.url, ...(token ? { token } : {}) });
      const outcome = await other.connect().then(
        () => other.getAvailableMessageCount({ connectionId: 'c1' }),
        (error) => Promise.reject(error),
      ).catch((error) => error);
      assert.equal(outcome.name, 'UnauthorizedError');
    }
    assert.ok(!server.log.includes('a-secret-of-the-test'));
  });
});
