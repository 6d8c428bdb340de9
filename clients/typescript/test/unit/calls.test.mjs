// Calls: their answers, their errors, their time, and what happens to them when the connection breaks.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until, within } from '../../../../tests/e2e/support/wait.mjs';
import { closeClientsAfterwards, connected, deferred, payload } from '../support/fixtures.mjs';
import { failure, ScriptedGateway, silence } from '../support/scripted_gateway.mjs';

const connectionId = 'c1';
const add = (client, text = 'x') =>
  client.addMessage({ connectionId, recipientDids: ['did:key:z6Mk'], payload: payload(text) });

describe('Calls', { timeout: 30_000 }, () => {
  closeClientsAfterwards();

  test('answers out of order find their callers', async () => {
    const first = deferred();
    const gateway = await ScriptedGateway.start({
      methods: {
        getAvailableMessageCount: async ({ connectionId: id }) => {
          if (id === 'slow') await first.promise;
          return id === 'slow' ? 1 : 2;
        },
      },
    });
    const client = await connected({ url: gateway.url });
    const slow = client.getAvailableMessageCount({ connectionId: 'slow' });
    assert.equal(await client.getAvailableMessageCount({ connectionId: 'fast' }), 2);
    first.resolve();
    assert.equal(await slow, 1);
    await gateway.stop();
  });

  const errors = [
    [401, 'UnauthorizedError'],
    [-32602, 'InvalidParametersError'],
    [413, 'MessageTooLargeError'],
    [507, 'QuotaExceededError'],
    [500, 'RemoteError'],
  ];
  for (const [code, name] of errors) {
    test(`an answer with code ${code} is a ${name}, and is not repeated`, async () => {
      const gateway = await ScriptedGateway.start({
        methods: { ping: () => failure(code, 'No', 'because') },
      });
      const client = await connected({ url: gateway.url });
      await assert.rejects(client.ping(), {
        name,
        code,
        details: 'because',
        method: 'ping',
        message: `ping failed: No: because (${code})`,
      });
      assert.equal(gateway.callsOf('ping').length, 1);
      await gateway.stop();
    });
  }

  for (const code of [503, 504]) {
    test(`an answer with code ${code} is asked again until it works`, async () => {
      let times = 0;
      const gateway = await ScriptedGateway.start({
        methods: { ping: () => ((times += 1) < 4 ? failure(code, 'Not now') : 'pong') },
      });
      const client = await connected({ url: gateway.url });
      assert.equal(await client.ping(), 'pong');
      assert.equal(times, 4);
      await gateway.stop();
    });
  }

  test('an answer with code 503 that stays is the error in the end', async () => {
    const gateway = await ScriptedGateway.start({ methods: { ping: () => failure(503, 'Not now') } });
    const client = await connected({ url: gateway.url, totalTimeoutMs: 400 });
    const failed = () => client.ping().catch((error) => error);
    let error = await failed();
    // A pause of the machine over the end of that time is a timeout; then it is tried again.
    for (let n = 0; n < 20 && error.name === 'CallTimeoutError'; n += 1) error = await failed();
    assert.equal(error.name, 'ServiceUnavailableError');
    assert.equal(error.code, 503);
    await gateway.stop();
  });

  const wrongAnswers = [
    ['takeFromQueue', { a: 1 }, (client) => client.takeFromQueue({ connectionId })],
    ['takeFromQueue', null, (client) => client.takeFromQueue({ connectionId })],
    ['takeFromQueue', [{ id: 1 }], (client) => client.takeFromQueue({ connectionId })],
    ['getAvailableMessageCount', '1', (client) => client.getAvailableMessageCount({ connectionId })],
    ['removeMessages', 'ok', (client) => client.removeMessages({ connectionId, messageIds: [] })],
    ['getLiveSession', 1, (client) => client.getLiveSession({ connectionId })],
  ];
  for (const [method, answer, ask] of wrongAnswers) {
    test(`${method} answered with ${JSON.stringify(answer)} is an error, never a value`, async () => {
      const gateway = await ScriptedGateway.start({ methods: { [method]: () => answer } });
      const client = await connected({ url: gateway.url });
      await assert.rejects(ask(client), { name: 'UnexpectedAnswerError', method });
      await gateway.stop();
    });
  }

  test('no answer in time is an error when the call has no time left', async () => {
    const gateway = await ScriptedGateway.start({ methods: { ping: () => silence } });
    const client = await connected({ url: gateway.url, callTimeoutMs: 100, totalTimeoutMs: 100 });
    await assert.rejects(client.ping(), { name: 'CallTimeoutError' });
    await gateway.stop();
  });

  test('a slow gateway is asked again on the same connection', async () => {
    let times = 0;
    const gateway = await ScriptedGateway.start({
      methods: { getLiveSession: () => ((times += 1) === 1 ? silence : true) },
    });
    const client = await connected({ url: gateway.url, callTimeoutMs: 500, totalTimeoutMs: 20_000 });
    const asking = client.getLiveSession({ connectionId });
    await until(async () => (await client.ping()) && times === 2, 'the second attempt', 15_000);
    assert.equal(await asking, true);
    assert.equal(gateway.connections, 1);
    await gateway.stop();
  });

  test('a frozen gateway is left after one call timeout, and the call succeeds at the next', async () => {
    const gateway = await ScriptedGateway.start();
    const other = await ScriptedGateway.start();
    const client = await connected({ url: [gateway.url, other.url], heartbeatMs: 60_000 });
    gateway.freeze();
    assert.equal(await within(client.ping(), 3000, 'an answer'), 'pong');
    assert.equal(other.callsOf('ping').length, 1);
    await gateway.stop();
    await other.stop();
  });

  test('a call whose connection breaks before the answer is sent again', async () => {
    let times = 0;
    const gateway = await ScriptedGateway.start({
      methods: {
        getAvailableMessageCount: (params, { socket }) => {
          times += 1;
          if (times > 2) return 7;
          socket.terminate();
          return silence;
        },
      },
    });
    const client = await connected({ url: gateway.url });
    assert.equal(await client.getAvailableMessageCount({ connectionId }), 7);
    await gateway.stop();
  });

  test('a repeated add carries the same message id', async () => {
    let times = 0;
    const gateway = await ScriptedGateway.start({
      methods: {
        addMessage: ({ messageId }, { socket }) => {
          times += 1;
          if (times > 1) return { messageId };
          socket.terminate();
          return silence;
        },
      },
    });
    const client = await connected({ url: gateway.url });
    const id = await add(client);
    const sent = gateway.callsOf('addMessage').map(({ params }) => params.messageId);
    assert.deepEqual(sent, [id, id]);
    assert.match(id, /[-_./a-zA-Z0-9]{8}/);
    await gateway.stop();
  });

  test('calls made without a connection are sent in their order when it is back', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    const adds = Promise.all(Array.from({ length: 50 }, (_, n) => add(client, `m${n}`)));
    await gateway.restart();
    await adds;
    assert.deepEqual(
      gateway.callsOf('addMessage').map(({ params }) => params.payload.ciphertext),
      Array.from({ length: 50 }, (_, n) => `m${n}`),
    );
    assert.equal(gateway.calls.findLast(({ method }) => method === 'rpc.on').connection, 2);
    await gateway.stop();
  });

  test('a call that finds no connection in its time fails', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url, totalTimeoutMs: 150 });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    await assert.rejects(add(client), { name: 'ConnectionError', message: /no connection within 150 ms/ });
  });

  test('what waits is bounded in number', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url, maxQueuedCalls: 2 });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    const kept = [client.ping(), client.ping()];
    await assert.rejects(client.ping(), { name: 'QueueFullError' });
    await gateway.restart();
    assert.deepEqual(await Promise.all(kept), ['pong', 'pong']);
    assert.equal(await client.ping(), 'pong');
    await gateway.stop();
  });

  test('what waits is bounded in bytes', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url, maxQueuedBytes: 1000 });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    await assert.rejects(add(client, 'x'.repeat(1000)), { name: 'QueueFullError' });
    const kept = client.ping();
    await gateway.restart();
    assert.equal(await kept, 'pong');
    await gateway.stop();
  });

  test('frames that make no sense are ignored', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    const [socket] = gateway.sockets;
    for (const text of ['', '{', '[]', '7', '{"id":1}', '{"jsonrpc":"2.0","result":1,"id":99999}',
      '{"method":"messagesReceived"}', '{"method":"messagesReceived","params":{"connectionId":"c"}}',
      '{"method":"weather","params":{}}', '{"error":{"code":1},"id":null}']) {
      gateway.say(socket, text);
    }
    assert.equal(await client.ping(), 'pong');
    assert.equal(gateway.connections, 1);
    await gateway.stop();
  });
});
