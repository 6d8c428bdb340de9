// When a phone is woken, on one gateway: bursts, phones that come back, phones that acknowledge or
// do not, sessions that end; and that adding a message never waits for a push provider.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe } from 'node:test';
import { Worker } from 'node:worker_threads';

import { check } from './support/case.mjs';
import { add } from './support/messages.mjs';
import { FcmServer, stopPushServers } from './support/push_servers.mjs';
import { Phone, pushCount, pushesSettled } from './support/push_phone.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { until, within } from './support/wait.mjs';

after(stopPushServers);

const windowMs = 3000; // a burst has to fit into it on a busy machine

function checkPushes(name, body, { env = {} } = {}) {
  return check(name, async (t) => {
    const fcm = await FcmServer.start();
    const server = await Server.start({
      env: { MPR_PUSH_WINDOW_MS: String(windowMs), ...fcm.env, ...env },
    });
    try {
      const socket = await RpcSocket.open(server.url);
      await body({ fcm, server, socket, t });
      fcm.check();
      await server.stop();
    } finally {
      if (Server.running.has(server)) await server.kill();
      await fcm.stop();
    }
  });
}

describe('a burst for an offline phone', () => {
  checkPushes('of 100 messages gives two pushes, first and trailing', async (c) => {
    const warm = new Phone('fcm'); // its push makes the connection, which takes a while
    await warm.message(c.socket);
    await c.fcm.reached(warm.token);
    const phone = new Phone('fcm');
    const ids = [];
    for (let n = 0; n < 100; n += 1) ids.push(await phone.message(c.socket, n));
    const [first, second] = await c.fcm.reached(phone.token, 2);
    await pushesSettled(c.server);
    assert.equal(c.fcm.to(phone.token).length, 2);
    assert.equal(first.message.data.message_id, ids[0]);
    assert.equal(second.message.data.message_id, ids[99]);
    const apart = second.at - first.at;
    assert.ok(apart >= windowMs - 300 && apart < windowMs + 3000, `${apart} ms apart`);
  });

  checkPushes('gives one push when the phone picked up within the window', async (c) => {
    const phone = new Phone('fcm');
    await Promise.all(Array.from({ length: 100 }, (_, n) => phone.message(c.socket, n)));
    await c.fcm.reached(phone.token);
    assert.equal(await phone.pickUp(c.socket), 100);
    await until(async () => (await pushCount(c.server, 'fcm', 'unneeded')) === 1, 'no trailing', 15_000);
    await pushesSettled(c.server);
    assert.equal(c.fcm.to(phone.token).length, 1);
  });

  checkPushes('begins anew with the first message after a window', async (c) => {
    const phone = new Phone('fcm');
    for (let round = 1; round <= 2; round += 1) {
      await phone.message(c.socket);
      await c.fcm.reached(phone.token, round);
      await phone.pickUp(c.socket);
      await until(() => Date.now() - c.fcm.to(phone.token).at(-1).at > windowMs, 'window over');
    }
    const [first, second] = c.fcm.to(phone.token);
    assert.ok(second.at - first.at >= windowMs);
  });

  checkPushes('over two connections of one phone is one burst', async (c) => {
    const phone = new Phone('fcm');
    const other = new Phone('fcm');
    other.token = phone.token;
    await phone.message(c.socket);
    await other.message(c.socket);
    await c.fcm.reached(phone.token, 2);
    await pushesSettled(c.server);
    assert.equal(c.fcm.to(phone.token).length, 2);
  });
});

describe('a phone with a live session', () => {
  checkPushes(
    'that acknowledges gets no push',
    async ({ fcm, server, socket }) => {
      const phone = new Phone('fcm');
      const { connectionId } = phone;
      await socket.call('addLiveSession', { connectionId, sessionId: 's' });
      for (let n = 0; n < 20; n += 1) {
        const id = await phone.message(socket, n);
        await socket.call('removeMessages', { connectionId, messageIds: [id] });
      }
      await until(async () => {
        const text = await (await fetch(`${server.opsUrl}/metrics`)).text();
        return /^mpr_live_sessions 1$/m.test(text);
      }, 'ticks have passed');
      await socket.call('removeLiveSession', { connectionId });
      await pushesSettled(server);
      assert.equal(fcm.pushes.length, 0);
    },
    { env: { MPR_ACK_DEADLINE_MS: '3000' } },
  );

  checkPushes(
    'that does not acknowledge in time is woken',
    async ({ fcm, socket }) => {
      const phone = new Phone('fcm');
      await socket.call('addLiveSession', { connectionId: phone.connectionId, sessionId: 's' });
      const added = Date.now();
      const id = await phone.message(socket);
      const [push] = await fcm.reached(phone.token);
      assert.ok(push.at - added >= 300);
      assert.equal(push.message.data.message_id, id);
    },
    { env: { MPR_ACK_DEADLINE_MS: '300' } },
  );

  checkPushes(
    'is woken once for many that it did not acknowledge, and once more at the end of the window',
    async ({ fcm, server, socket }) => {
      const phone = new Phone('fcm');
      await socket.call('addLiveSession', { connectionId: phone.connectionId, sessionId: 's' });
      for (let n = 0; n < 10; n += 1) await phone.message(socket, n);
      await fcm.reached(phone.token);
      for (let n = 0; n < 10; n += 1) await phone.message(socket, n);
      await fcm.reached(phone.token, 2);
      await pushesSettled(server);
      assert.equal(fcm.to(phone.token).length, 2);
    },
    { env: { MPR_ACK_DEADLINE_MS: '300' } },
  );

  checkPushes('is woken when the session ends with messages pending', async (c) => {
    const phone = new Phone('fcm');
    const { connectionId } = phone;
    await c.socket.call('addLiveSession', { connectionId, sessionId: 's' });
    await phone.message(c.socket);
    assert.equal(c.fcm.pushes.length, 0);
    await c.socket.call('removeLiveSession', { connectionId });
    await c.fcm.reached(phone.token);
  });
});

checkPushes('a stop sends at once what was planned for the end of a window', async (c) => {
  const phone = new Phone('fcm');
  await phone.message(c.socket);
  await c.fcm.reached(phone.token);
  await phone.message(c.socket);
  const stopped = Date.now();
  await c.server.stop();
  assert.equal(c.fcm.to(phone.token).length, 2);
  assert.ok(c.fcm.to(phone.token)[1].at - stopped < 2500);
}, { env: { MPR_PUSH_WINDOW_MS: '30000' } });

checkPushes('a stop is not held up by a provider that never answers', async (c) => {
  c.fcm.answers = () => 'silence';
  const phone = new Phone('fcm');
  await phone.message(c.socket);
  await c.fcm.reached(phone.token);
  const begun = Date.now();
  await c.server.stop();
  assert.ok(Date.now() - begun < 6000, `${Date.now() - begun} ms`);
}, { env: { MPR_DRAIN_TIMEOUT_MS: '1000', MPR_PUSH_TIMEOUT_MS: '60000' } });

checkPushes('what is over the bound is dropped and counted', async (c) => {
  c.fcm.answers = () => 'silence';
  const phones = Array.from({ length: 50 }, () => new Phone('fcm'));
  await Promise.all(phones.map((phone) => phone.message(c.socket)));
  await until(async () => (await pushCount(c.server, 'fcm', 'dropped')) >= 40, 'dropped');
}, { env: { MPR_PUSH_QUEUE: '10', MPR_DRAIN_TIMEOUT_MS: '200' } });

describe('the latency of addMessage', () => {
  async function medianLatency(server) {
    const file = new URL('./support/push_latency_worker.mjs', import.meta.url);
    const worker = new Worker(file, { workerData: { url: server.url, rounds: 500 } });
    const [median] = await within(once(worker, 'message'), 30_000, 'a median');
    await worker.terminate();
    return median;
  }

  check('is the same whatever the provider does', async (t) => {
    const fcm = await FcmServer.start();
    const server = await Server.start({
      env: {
        MPR_BACKEND: 'memory', // no disk in the figures
        ...fcm.env,
        MPR_PUSH_TIMEOUT_MS: '2000',
        MPR_DRAIN_TIMEOUT_MS: '200',
      },
    });
    const quiet = await Server.start({ env: { MPR_BACKEND: 'memory' } });
    try {
      await medianLatency(quiet); // both are warm then
      const medians = { 'no sender': await medianLatency(quiet) };
      for (const [name, answers] of [
        ['accepts', () => fcm.accepted()],
        ['never answers', () => 'silence'],
        ['refuses the token', () => FcmServer.error(404, 'NOT_FOUND', 'UNREGISTERED')],
        ['is over quota', () => FcmServer.error(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED')],
        ['is unavailable', () => FcmServer.error(503, 'UNAVAILABLE', 'UNAVAILABLE')],
        ['says goodbye', () => 'goaway'],
      ]) {
        fcm.answers = answers;
        medians[name] = await medianLatency(server);
      }
      await fcm.close();
      medians['is down'] = await medianLatency(server);
      await fcm.listen();
      for (const [name, median] of Object.entries(medians)) {
        const ratio = median / medians['no sender'];
        t.diagnostic(`${name}: ${median.toFixed(2)} ms, ${ratio.toFixed(2)} times`);
        // Far from what waiting for a provider would cost (2,000 ms), far from the noise as well.
        assert.ok(median < 50, `${name}: ${median} ms`);
      }
      await quiet.stop();
      await server.stop();
    } finally {
      for (const running of [...Server.running]) await running.kill();
      await fcm.stop();
    }
  });
});

check('adds wait for no push even when nearly all are dropped', async () => {
  const server = await Server.start({
    env: { MPR_WEBHOOK_URL: 'http://127.0.0.1:9/', MPR_PUSH_QUEUE: '100' },
  });
  try {
    const socket = await RpcSocket.open(server.url);
    const calls = [];
    for (let n = 0; n < 2000; n += 1) {
      const phone = new Phone('webhook');
      calls.push(
        add(socket, phone.connectionId, n, { pushNotificationToken: phone.pushNotificationToken }),
      );
    }
    await Promise.all(calls);
    assert.ok((await pushCount(server, 'webhook', 'dropped')) >= 1800);
    await server.stop();
  } finally {
    if (Server.running.has(server)) await server.kill();
  }
});
