// Connecting, losing the connection, coming back.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';

import { until, within } from '../../../../tests/e2e/support/wait.mjs';
import { closeClientsAfterwards, connected, newClient, RememberingLogger } from '../support/fixtures.mjs';
import { ScriptedGateway } from '../support/scripted_gateway.mjs';

const open = { timeout: 20_000 };

async function refusingUrl() {
  const gateway = await ScriptedGateway.start();
  await gateway.stop();
  return gateway.url;
}

describe('Connection', open, () => {
  closeClientsAfterwards();

  test('connect resolves after the subscription, and twice is once', async () => {
    const gateway = await ScriptedGateway.start();
    const client = newClient({ url: gateway.url });
    await Promise.all([client.connect(), client.connect()]);
    assert.equal(client.connectionState, 'connected');
    assert.equal(gateway.connections, 1);
    assert.deepEqual(gateway.callsOf('rpc.on').map(({ params }) => params[0]), ['messagesReceived']);
    await client.connect();
    assert.equal(gateway.connections, 1);
    await gateway.stop();
  });

  test('connect rejects when no address answers, and may be called again', async () => {
    const urls = [await refusingUrl(), await refusingUrl()];
    const client = newClient({ url: urls });
    await assert.rejects(client.connect(), { name: 'ConnectionError', message: /ECONNREFUSED/ });
    assert.equal(client.connectionState, 'disconnected');
    await assert.rejects(client.connect(), { name: 'ConnectionError' });
  });

  test('with firstConnect: retry it goes on until a gateway is there', async () => {
    const gateway = await ScriptedGateway.start();
    await gateway.stop();
    const client = newClient({ url: gateway.url, firstConnect: 'retry' });
    const connecting = client.connect();
    const early = client.ping();
    await gateway.restart();
    await within(connecting, 5000, 'the connection');
    assert.equal(await early, 'pong');
    await gateway.stop();
  });

  test('the second address takes over when the first refuses', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: [await refusingUrl(), gateway.url] });
    assert.equal(await client.ping(), 'pong');
    await gateway.stop();
  });

  test('an address that accepts and says nothing is left after the connect timeout', async () => {
    const deaf = createServer(() => {});
    await new Promise((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const gateway = await ScriptedGateway.start();
    const client = newClient({
      url: [`ws://127.0.0.1:${deaf.address().port}`, gateway.url],
      connectTimeoutMs: 1000,
    });
    await within(client.connect(), 10_000, 'the second address');
    deaf.close();
    await gateway.stop();
  });

  test('a refused token rejects connect with the reason', async () => {
    const gateway = await ScriptedGateway.start({ verifyClient: (info, done) => done(false, 401) });
    const client = newClient({ url: gateway.url, token: 'wrong' });
    await assert.rejects(client.connect(), { name: 'UnauthorizedError', code: 401 });
    await gateway.stop();
  });

  test('the token and the name go with the handshake; a token function is asked every time', async () => {
    const gateway = await ScriptedGateway.start();
    let asked = 0;
    const client = await connected({
      url: `${gateway.url}/path?x=1`,
      clientId: 'mediator 1',
      token: async () => `token-${(asked += 1)}`,
    });
    gateway.drop();
    await until(() => gateway.connections === 2, 'a second connection');
    await client.ping();
    assert.deepEqual(gateway.requests.map(({ headers }) => headers.authorization), [
      'Bearer token-1',
      'Bearer token-2',
    ]);
    assert.deepEqual(
      gateway.requests.map(({ url }) => url),
      Array(2).fill('/path?x=1&socket_id=mediator+1'),
    );
    await gateway.stop();
  });

  test('a token function that fails is a failed attempt, and no crash', async () => {
    const gateway = await ScriptedGateway.start();
    const client = newClient({
      url: gateway.url,
      token: () => {
        throw new Error('vault is sealed');
      },
    });
    await assert.rejects(client.connect(), { message: /vault is sealed/ });
    await gateway.stop();
  });

  test('it comes back after thirty losses in a row, with one subscription each', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    for (let n = 1; n <= 30; n += 1) {
      gateway.drop();
      await until(() => gateway.callsOf('rpc.on').length === n + 1, `subscription ${n + 1}`);
    }
    assert.equal(await client.ping(), 'pong');
    assert.equal(gateway.sockets.length, 1);
    await gateway.stop();
  });

  for (const code of [1000, 1001, 1012, 4000]) {
    test(`it comes back after close code ${code}`, async () => {
      const gateway = await ScriptedGateway.start();
      const client = await connected({ url: gateway.url });
      gateway.close(code, 'away');
      await until(() => gateway.connections === 2, 'a second connection');
      assert.equal(await client.ping(), 'pong');
      await gateway.stop();
    });
  }

  test('it comes back after an outage of many rounds', async () => {
    const gateway = await ScriptedGateway.start();
    const states = [];
    const client = newClient({ url: gateway.url });
    client.connectionStateChanged((state) => states.push(state));
    await client.connect();
    await gateway.stop();
    await until(() => states.includes('reconnecting'), 'the loss');
    await new Promise((resolve) => setTimeout(resolve, 400));
    await gateway.restart();
    assert.equal(await client.ping(), 'pong');
    assert.deepEqual(states, ['connecting', 'connected', 'reconnecting', 'connected']);
    await gateway.stop();
  });

  test('a silent gateway is found out without any call', async () => {
    const gateway = await ScriptedGateway.start();
    const other = await ScriptedGateway.start();
    await connected({ url: [gateway.url, other.url], heartbeatMs: 100 });
    gateway.freeze();
    await until(() => other.connections === 1, 'the next address');
    await gateway.stop();
    await other.stop();
  });

  test('an idle connection to a gateway that answers pings stays', async () => {
    const gateway = await ScriptedGateway.start();
    await connected({ url: gateway.url, heartbeatMs: 300 });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(gateway.connections, 1);
    await gateway.stop();
  });

  test('when the gateway drains, waiting answers are taken and new calls go to the next', async () => {
    let finish;
    const hold = new Promise((resolve) => (finish = resolve));
    const gateway = await ScriptedGateway.start({ methods: { getAvailableMessageCount: () => hold } });
    const other = await ScriptedGateway.start();
    const logger = new RememberingLogger();
    const client = await connected({ url: [gateway.url, other.url], logger });
    const counting = client.getAvailableMessageCount({ connectionId: 'c1' });
    await gateway.heardCall('getAvailableMessageCount');
    gateway.event('serverDraining', { graceMilliseconds: 3000 });
    await until(() => logger.find('info', 'The gateway stops'), 'the event');
    const pinging = client.ping();
    finish(5);
    assert.equal(await counting, 5);
    assert.equal(await pinging, 'pong');
    assert.equal(gateway.callsOf('ping').length, 0);
    assert.equal(other.callsOf('ping').length, 1);
    await gateway.stop();
    await other.stop();
  });

  test('disconnect ends sessions, closes, and does not come back', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    await client.addLiveSession({ connectionId: 'c1', sessionId: 's1' });
    await client.disconnect();
    assert.deepEqual(gateway.callsOf('removeLiveSession').map(({ params }) => params), [
      { connectionId: 'c1', sessionId: 's1' },
    ]);
    await until(() => gateway.sockets.length === 0, 'no socket');
    await assert.rejects(client.ping(), { name: 'NotConnectedError' });
    await client.disconnect();
    await client.connect();
    assert.equal(await client.ping(), 'pong');
    assert.equal(gateway.callsOf('addLiveSession').length, 1);
    await gateway.stop();
  });

  test('disconnect while reconnecting ends it and fails what waits', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    const waiting = assert.rejects(client.ping(), { name: 'NotConnectedError' });
    await client.disconnect();
    await waiting;
    assert.equal(client.connectionState, 'disconnected');
  });

  test('disconnect during connect rejects connect', async () => {
    const gateway = await ScriptedGateway.start();
    const client = newClient({ url: gateway.url });
    const connecting = assert.rejects(client.connect(), { name: 'NotConnectedError' });
    await client.disconnect();
    await connecting;
    await gateway.stop();
  });

  test('neither token nor password is written to the log', async () => {
    const gateway = await ScriptedGateway.start();
    const logger = new RememberingLogger();
    const url = gateway.url.replace('//', '//user:hidden-password@');
    await connected({ url: `${url}?key=hidden-key`, token: 'hidden-token', logger });
    gateway.drop();
    await until(() => gateway.connections === 2, 'a second connection');
    await gateway.stop();
    await until(() => logger.find('warn', 'Could not connect'), 'a failed attempt');
    assert.ok(logger.find('info', 'Connected'));
    assert.ok(!JSON.stringify(logger.lines).includes('hidden'));
  });
});
