// The methods, their parameters, and the mediator's callbacks.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../../../../tests/e2e/support/wait.mjs';
import { closeClientsAfterwards, connected, deferred, payload, RememberingLogger } from '../support/fixtures.mjs';
import { failure, ScriptedGateway, silence } from '../support/scripted_gateway.mjs';

const connectionId = 'c1';
const message = (id) => ({
  id,
  receivedAt: '2026-01-31T12:00:00.000Z',
  encryptedMessage: payload(id),
});
const add = (client, more = {}) =>
  client.addMessage({ connectionId, recipientDids: ['did:key:z6Mk'], payload: payload('x'), ...more });

describe('Repository', { timeout: 30_000 }, () => {
  closeClientsAfterwards();

  test('parameters are those of the protocol', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    await client.takeFromQueue({ connectionId, recipientDid: 'did:key:a', limit: 5 });
    await client.getAvailableMessageCount({ connectionId });
    await client.addMessage({
      connectionId,
      recipientDids: ['did:key:a'],
      payload: payload('x'),
      messageId: 'message-1',
      receivedAt: new Date('2026-01-31T12:00:00.000Z'),
      ttlSeconds: 60,
      pushNotificationToken: { type: 'fcm', token: 't' },
    });
    await client.removeMessages({ connectionId, messageIds: ['a'] });
    await client.removeAllMessages({ connectionId, recipientDid: 'did:key:a' });
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    await client.getLiveSession({ connectionId });
    await client.removeLiveSession({ connectionId });
    assert.deepEqual(
      gateway.calls.slice(1).map(({ method, params }) => [method, params]),
      [
        ['takeFromQueue', { connectionId, recipientDid: 'did:key:a', limit: 5 }],
        ['getAvailableMessageCount', { connectionId }],
        [
          'addMessage',
          {
            connectionId,
            recipientDids: ['did:key:a'],
            payload: payload('x'),
            messageId: 'message-1',
            receivedAt: '2026-01-31T12:00:00.000Z',
            ttlSeconds: 60,
            pushNotificationToken: { type: 'fcm', token: 't' },
          },
        ],
        ['removeMessages', { connectionId, messageIds: ['a'] }],
        ['removeAllMessages', { connectionId, recipientDid: 'did:key:a' }],
        ['addLiveSession', { connectionId, sessionId: 's1' }],
        ['getLiveSession', { connectionId }],
        ['removeLiveSession', { connectionId }],
      ],
    );
    await gateway.stop();
  });

  test('answers of the service in use today are understood', async () => {
    const gateway = await ScriptedGateway.start({
      methods: { addMessage: () => null, getLiveSession: () => null },
    });
    const client = await connected({ url: gateway.url });
    assert.equal(await client.getLiveSession({ connectionId }), false);
    assert.equal(await add(client, { messageId: 'message-1' }), 'message-1');
    await gateway.stop();
  });

  test('messages carry their time as a Date', async () => {
    const gateway = await ScriptedGateway.start({ methods: { takeFromQueue: () => [message('m1')] } });
    const client = await connected({ url: gateway.url });
    assert.deepEqual(await client.takeFromQueue({ connectionId }), [
      { ...message('m1'), receivedAt: new Date('2026-01-31T12:00:00.000Z') },
    ]);
    await gateway.stop();
  });

  test('status and acknowledgement are typed', async () => {
    const gateway = await ScriptedGateway.start({
      methods: {
        getQueueStatus: () => ({
          messageCount: 1, totalBytes: 9, oldestReceivedTime: '2026-01-31T12:00:00.000Z',
          newestReceivedTime: null, longestWaitedSeconds: null, inFlight: 2, liveDelivery: true,
        }),
        acknowledge: () => ({ removed: 1, remaining: 0 }),
      },
    });
    const client = await connected({ url: gateway.url });
    assert.deepEqual(await client.getQueueStatus({ connectionId }), {
      messageCount: 1,
      totalBytes: 9,
      oldestReceivedTime: new Date('2026-01-31T12:00:00.000Z'),
      newestReceivedTime: undefined,
      longestWaitedSeconds: undefined,
      inFlight: 2,
      liveDelivery: true,
    });
    assert.deepEqual(await client.acknowledge({ connectionId, messageIds: ['a'] }), {
      removed: 1,
      remaining: 0,
    });
    await gateway.stop();
  });

  test('what the mediator knows of a connection goes with takes and adds', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    const asked = [];
    client.setConnectionInfo(async (id) => {
      asked.push(id);
      return { maxReceiveBytes: 1000, pushNotificationToken: { type: 'fcm', token: 'known' } };
    });
    await client.takeFromQueue({ connectionId });
    await client.takeFromQueue({ connectionId, limitBytes: 5 });
    await add(client);
    await add(client, { pushNotificationToken: { type: 'apns', token: 'given' } });
    assert.deepEqual(gateway.callsOf('takeFromQueue').map(({ params }) => params.limitBytes), [1000, 5]);
    assert.deepEqual(
      gateway.callsOf('addMessage').map(({ params }) => params.pushNotificationToken.token),
      ['known', 'given'],
    );
    assert.deepEqual(asked, [connectionId, connectionId, connectionId]);
    await gateway.stop();
  });

  const unhelpful = [
    ['rejects', async () => Promise.reject(new Error('no database'))],
    ['throws', () => { throw new Error('no database'); }],
    ['knows nothing', async () => undefined],
    ['does not end', () => new Promise(() => {})],
    ['has a token without its text', () => ({ pushNotificationToken: { type: 'fcm' } })],
  ];
  for (const [what, callback] of unhelpful) {
    test(`a connection info callback that ${what} costs no message`, async () => {
      const gateway = await ScriptedGateway.start();
      const logger = new RememberingLogger();
      const client = await connected({ url: gateway.url, callbackTimeoutMs: 50, logger });
      client.setConnectionInfo(callback);
      await add(client);
      assert.deepEqual(await client.takeFromQueue({ connectionId }), []);
      assert.equal('pushNotificationToken' in gateway.callsOf('addMessage')[0].params, false);
      await gateway.stop();
    });
  }

  test('a push token that the gateway refuses costs no message', async () => {
    const gateway = await ScriptedGateway.start({
      methods: {
        addMessage: ({ messageId, pushNotificationToken }) =>
          pushNotificationToken
            ? failure(-32602, 'Invalid params', 'pushNotificationToken.type: must be known')
            : { messageId },
      },
    });
    const client = await connected({ url: gateway.url });
    await add(client, { pushNotificationToken: { type: 'pigeon', token: 't' } });
    const ids = gateway.callsOf('addMessage').map(({ params }) => params.messageId);
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
    await gateway.stop();
  });

  test('a deleting take removes once the messages are here', async () => {
    const gateway = await ScriptedGateway.start({
      methods: { takeFromQueue: () => [message('m1'), message('m2')] },
    });
    const client = await connected({ url: gateway.url });
    const messages = await client.takeFromQueue({ connectionId, limit: 2, deleteMessages: true });
    assert.deepEqual(messages.map(({ id }) => id), ['m1', 'm2']);
    assert.deepEqual(
      gateway.calls.slice(1).map(({ method, params }) => [method, params]),
      [
        ['takeFromQueue', { connectionId, limit: 2 }],
        ['removeMessages', { connectionId, messageIds: ['m1', 'm2'] }],
      ],
    );
    await gateway.stop();
  });

  test('a deleting take whose removal fails still returns the messages', async () => {
    const gateway = await ScriptedGateway.start({
      methods: { takeFromQueue: () => [message('m1')], removeMessages: () => failure(500, 'No') },
    });
    const client = await connected({ url: gateway.url });
    const messages = await client.takeFromQueue({ connectionId, deleteMessages: true });
    assert.deepEqual(messages.map(({ id }) => id), ['m1']);
    await gateway.stop();
  });

  test('two deleting takes of one connection do not overlap', async () => {
    let queue = ['m1', 'm2'];
    const gateway = await ScriptedGateway.start({
      methods: {
        takeFromQueue: async () => queue.slice(0, 1).map(message),
        removeMessages: ({ messageIds }) => {
          queue = queue.filter((id) => !messageIds.includes(id));
          return true;
        },
      },
    });
    const client = await connected({ url: gateway.url });
    const take = () => client.takeFromQueue({ connectionId, limit: 1, deleteMessages: true });
    const batches = await Promise.all([take(), take()]);
    assert.deepEqual(batches.flat().map(({ id }) => id), ['m1', 'm2']);
    await gateway.stop();
  });

  test('with deletion: atomic the gateway deletes', async () => {
    const gateway = await ScriptedGateway.start({ methods: { takeFromQueue: () => [message('m1')] } });
    const client = await connected({ url: gateway.url, deletion: 'atomic' });
    await client.takeFromQueue({ connectionId, deleteMessages: true });
    assert.deepEqual(gateway.calls.slice(1).map(({ method, params }) => [method, params]), [
      ['takeFromQueue', { connectionId, deleteMessages: true }],
    ]);
    await gateway.stop();
  });

  test('an event calls back once, also after reconnects', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    const received = [];
    client.messagesReceived(({ connectionId: id, messages }) => {
      received.push([id, ...messages.map((item) => item.id)]);
    });
    for (let n = 0; n < 3; n += 1) {
      gateway.drop();
      await gateway.heardCall('rpc.on', n + 2);
    }
    gateway.messages('c1', ['m1', 'm2']);
    await client.ping();
    assert.deepEqual(received, [['c1', 'm1', 'm2']]);
    await gateway.stop();
  });

  test('an event before the answer of the add that caused it is delivered', async () => {
    const gateway = await ScriptedGateway.start({
      methods: {
        addMessage: ({ messageId }) => {
          gateway.messages(connectionId, [messageId]);
          return { messageId };
        },
      },
    });
    const client = await connected({ url: gateway.url });
    const order = [];
    client.messagesReceived(() => order.push('event'));
    await add(client).then(() => order.push('answer'));
    assert.deepEqual(order, ['event', 'answer']);
    await gateway.stop();
  });

  test('deliveries of one connection wait for each other, those of others do not', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    const gate = deferred();
    const log = [];
    client.messagesReceived(async ({ connectionId: id, messages }) => {
      log.push(`begin ${id} ${messages[0].id}`);
      if (messages[0].id === 'm1') await gate.promise;
      log.push(`end ${id} ${messages[0].id}`);
    });
    gateway.messages('c1', ['m1']);
    gateway.messages('c1', ['m2']);
    gateway.messages('c2', ['m3']);
    await until(() => log.includes('end c2 m3'), 'the other connection');
    assert.ok(!log.includes('begin c1 m2'));
    gate.resolve();
    await until(() => log.includes('end c1 m2'), 'the second delivery');
    assert.ok(log.indexOf('end c1 m1') < log.indexOf('begin c1 m2'));
    await gateway.stop();
  });

  for (const [what, callback] of [
    ['rejects', async () => Promise.reject(new Error('phone is gone'))],
    ['throws', () => { throw new Error('phone is gone'); }],
  ]) {
    test(`a delivery that ${what} is logged, ends nothing, and the next one comes`, async () => {
      const gateway = await ScriptedGateway.start();
      const logger = new RememberingLogger();
      const client = await connected({ url: gateway.url, logger });
      let calls = 0;
      client.messagesReceived((event) => {
        calls += 1;
        return callback(event);
      });
      gateway.messages('c1', ['m1']);
      gateway.messages('c1', ['m2']);
      await until(() => calls === 2, 'two deliveries');
      await client.ping();
      assert.equal(logger.find('error', 'messagesReceived').data.cause, 'phone is gone');
      await gateway.stop();
    });
  }

  test('an error that has no message text is logged all the same', async () => {
    const gateway = await ScriptedGateway.start();
    const logger = new RememberingLogger();
    const client = await connected({ url: gateway.url, logger });
    client.messagesReceived(() => Promise.reject());
    gateway.messages('c1', ['m1']);
    await until(() => logger.find('error', 'messagesReceived'), 'the line');
    await gateway.stop();
  });

  test('other events reach their callbacks', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    const seen = [];
    client.liveSessionReplaced((event) => seen.push(event));
    client.pushTokenInvalid((event) => seen.push(event));
    gateway.event('liveSessionReplaced', { connectionId: 'c1', sessionId: 's1' });
    gateway.event('pushTokenInvalid', { connectionId: 'c2' });
    await client.ping();
    assert.deepEqual(seen, [{ connectionId: 'c1', sessionId: 's1' }, { connectionId: 'c2' }]);
    await gateway.stop();
  });
});

describe('Live sessions', { timeout: 30_000 }, () => {
  closeClientsAfterwards();
  const opened = (gateway, connection) =>
    gateway
      .callsOf('addLiveSession')
      .filter((call) => call.connection === connection)
      .map(({ params }) => `${params.connectionId} ${params.sessionId}`);

  test('they are opened again after a reconnect, before the calls that waited', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    for (const id of ['c1', 'c2', 'c3']) {
      await client.addLiveSession({ connectionId: id, sessionId: `session-${id}` });
    }
    await client.removeLiveSession({ connectionId: 'c2' });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    const counting = client.getAvailableMessageCount({ connectionId: 'c1' });
    await gateway.restart();
    await counting;
    const second = gateway.calls.filter(({ connection }) => connection === 2);
    assert.deepEqual(
      second.slice(0, 4).map(({ method }) => method),
      ['rpc.on', 'addLiveSession', 'addLiveSession', 'getAvailableMessageCount'],
    );
    assert.deepEqual(opened(gateway, 2), ['c1 session-c1', 'c3 session-c3']);
    await gateway.stop();
  });

  test('remove and add back to back keep their order on one socket', async () => {
    const gateway = await ScriptedGateway.start({
      methods: { removeLiveSession: () => new Promise((resolve) => setTimeout(resolve, 50, true)) },
    });
    const client = await connected({ url: gateway.url });
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    await Promise.all([
      client.removeLiveSession({ connectionId, sessionId: 's1' }),
      client.addLiveSession({ connectionId, sessionId: 's2' }),
      client.getAvailableMessageCount({ connectionId }),
    ]);
    assert.deepEqual(
      gateway.calls.slice(2).map(({ method }) => method),
      ['removeLiveSession', 'addLiveSession', 'getAvailableMessageCount'],
    );
    await gateway.stop();
  });

  test('without a connection, only the last word about a session is said', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    await client.addLiveSession({ connectionId: 'c1', sessionId: 's1' });
    await client.addLiveSession({ connectionId: 'c2', sessionId: 's1' });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    const calls = Promise.all([
      client.removeLiveSession({ connectionId: 'c1', sessionId: 's1' }),
      client.addLiveSession({ connectionId: 'c1', sessionId: 's2' }),
      client.removeLiveSession({ connectionId: 'c2', sessionId: 's1' }),
    ]);
    await gateway.restart();
    assert.deepEqual(await calls, [false, true, true]);
    assert.deepEqual(
      gateway.calls
        .filter(({ connection, method }) => connection === 2 && method !== 'rpc.on')
        .map(({ method, params }) => `${method} ${params.connectionId} ${params.sessionId}`),
      ['addLiveSession c1 s2', 'removeLiveSession c2 s1'],
    );
    await gateway.stop();
  });

  test('a session whose add failed for want of a connection is opened when there is one', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url, totalTimeoutMs: 100 });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    await assert.rejects(client.addLiveSession({ connectionId, sessionId: 's1' }), {
      name: 'ConnectionError',
    });
    await gateway.restart();
    await gateway.heardCall('addLiveSession');
    assert.deepEqual(opened(gateway, 2), ['c1 s1']);
    await gateway.stop();
  });

  test('an add that is repeated after a removal is not sent any more', async () => {
    let times = 0;
    const gateway = await ScriptedGateway.start({
      methods: { addLiveSession: () => ((times += 1) === 1 ? failure(503, 'Not now') : true) },
    });
    const client = await connected({ url: gateway.url });
    const adding = client.addLiveSession({ connectionId, sessionId: 's1' });
    await gateway.heardCall('addLiveSession');
    await client.removeLiveSession({ connectionId, sessionId: 's1' });
    assert.equal(await adding, false);
    assert.equal(times, 1);
    await gateway.stop();
  });

  test('one that another mediator took over is not opened again', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    await client.addLiveSession({ connectionId: 'c1', sessionId: 's1' });
    await client.addLiveSession({ connectionId: 'c2', sessionId: 's2' });
    gateway.event('liveSessionReplaced', { connectionId: 'c1', sessionId: 's1' });
    gateway.event('liveSessionReplaced', { connectionId: 'c2', sessionId: 'older' });
    await client.ping();
    gateway.drop();
    await gateway.heardCall('addLiveSession', 3);
    await client.ping();
    assert.deepEqual(opened(gateway, 2), ['c2 s2']);
    await gateway.stop();
  });

  test('one whose phone has moved on meanwhile is not taken back, and its mediator hears of it', async () => {
    const methods = { addLiveSession: ({ resume }) => resume !== true };
    const gateway = await ScriptedGateway.start({ methods });
    const client = await connected({ url: gateway.url });
    const replaced = deferred();
    client.liveSessionReplaced(replaced.resolve);
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    gateway.drop();
    assert.deepEqual(await replaced.promise, { connectionId, sessionId: 's1' });
    gateway.drop();
    await until(() => gateway.callsOf('rpc.on').length === 3, 'another connection', 15_000);
    await client.ping();
    assert.deepEqual(
      gateway.callsOf('addLiveSession').map(({ params }) => params.resume),
      [undefined, true],
    );
    await gateway.stop();
  });

  test('one that was never opened takes over after a reconnect', async () => {
    let times = 0;
    const methods = {
      addLiveSession: () => ((times += 1) === 1 ? failure(-32602, 'Not so') : true),
    };
    const gateway = await ScriptedGateway.start({ methods });
    const client = await connected({ url: gateway.url });
    await assert.rejects(client.addLiveSession({ connectionId, sessionId: 's1' }));
    gateway.drop();
    const { params } = await gateway.heardCall('addLiveSession', 2);
    assert.deepEqual(params, { connectionId, sessionId: 's1' });
    await gateway.stop();
  });

  test('a thousand of them are opened again at once', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url, callTimeoutMs: 10_000, totalTimeoutMs: 20_000 });
    const ids = Array.from({ length: 1000 }, (_, n) => `c${n}`);
    await Promise.all(ids.map((id) => client.addLiveSession({ connectionId: id, sessionId: 's' })));
    gateway.drop();
    await gateway.heardCall('addLiveSession', 2000);
    assert.deepEqual(opened(gateway, 2), ids.map((id) => `${id} s`));
    await gateway.stop();
  });

  test('what came during an outage is delivered after the session was opened again', async () => {
    const gateway = await ScriptedGateway.start({
      methods: {
        takeFromQueue: ({ connectionId: id }) => (id === 'c1' ? [message('m1'), message('m2')] : []),
      },
    });
    const client = await connected({ url: gateway.url });
    const received = [];
    client.messagesReceived(({ connectionId: id, messages }) => {
      received.push([id, ...messages.map((item) => item.id)]);
    });
    await client.addLiveSession({ connectionId: 'c1', sessionId: 's1' });
    await client.addLiveSession({ connectionId: 'c2', sessionId: 's1' });
    assert.equal(gateway.callsOf('takeFromQueue').length, 0);
    gateway.drop();
    await gateway.heardCall('takeFromQueue', 2);
    await until(() => received.length > 0, 'the messages');
    await client.ping();
    assert.deepEqual(received, [['c1', 'm1', 'm2']]);
    await gateway.stop();
  });

  test('what came during an outage is not overtaken by a later event', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    const received = [];
    client.messagesReceived(({ messages }) => received.push(...messages.map(({ id }) => id)));
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    gateway.methods.takeFromQueue = (params, { socket, id }) => {
      // Answer and event in one piece, so that the client reads them in one go.
      socket._socket.cork();
      gateway.say(socket, { jsonrpc: '2.0', result: [message('m1')], id });
      gateway.messages(connectionId, ['m2']);
      socket._socket.uncork();
      return silence;
    };
    gateway.drop();
    await until(() => received.length === 2, 'both messages');
    assert.deepEqual(received, ['m1', 'm2']);
    await gateway.stop();
  });

  test('acknowledgements that waited are sent before the sessions are opened again', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    await gateway.stop();
    await until(() => client.connectionState === 'reconnecting', 'the loss');
    const calls = Promise.all([
      add(client),
      client.removeMessages({ connectionId, messageIds: ['m1'] }),
    ]);
    await gateway.restart();
    await calls;
    assert.deepEqual(
      gateway.calls.filter(({ connection }) => connection === 2).slice(0, 4).map(({ method }) => method),
      ['removeMessages', 'rpc.on', 'addLiveSession', 'addMessage'],
    );
    await gateway.stop();
  });

  test('what the phone has and has not acknowledged is not repeated after a reconnect', async () => {
    const gateway = await ScriptedGateway.start();
    const client = await connected({ url: gateway.url });
    const received = [];
    client.messagesReceived(({ messages }) => {
      const ids = messages.map(({ id }) => id);
      received.push(...ids);
      if (ids.includes('refused')) throw new Error('the phone is busy');
    });
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    gateway.messages(connectionId, ['refused']);
    gateway.messages(connectionId, ['m1']);
    await until(() => received.length === 2, 'two messages');
    await client.ping();
    gateway.drop();
    await gateway.heardCall('addLiveSession', 2);
    gateway.messages(connectionId, ['m1', 'refused', 'm2']);
    await until(() => received.includes('m2'), 'the new one');
    assert.deepEqual(received, ['refused', 'm1', 'refused', 'm2']);
    await client.addLiveSession({ connectionId, sessionId: 's2' });
    gateway.messages(connectionId, ['m1']);
    await client.ping();
    assert.deepEqual(received.at(-1), 'm1');
    await gateway.stop();
  });

  test('a session that the gateway does not open at once is tried again', async () => {
    let times = 0;
    const gateway = await ScriptedGateway.start({
      methods: { addLiveSession: () => ((times += 1) === 2 ? silence : true) },
    });
    const client = await connected({ url: gateway.url });
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    gateway.drop();
    await until(() => times === 3, 'the third attempt');
    await gateway.stop();
  });
});
