// Every method with every client that mediators use, and what each method promises.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe } from 'node:test';

import { quickStore } from './support/backends.mjs';
import { check, checkWithServer } from './support/case.mjs';
import {
  add,
  addMany,
  countOf,
  envelope,
  messageIdPattern,
  newConnection,
  takeIds,
  timestampPattern,
} from './support/messages.mjs';
import { ask, clients, connect, disconnect } from './support/rpc_websockets.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { until, within } from './support/wait.mjs';

for (const version of clients) {
  describe(`methods with ${version.name}`, () => {
    let server;
    let client;
    let sender;
    before(async () => {
      server = await Server.start();
      client = await connect(version, server.url);
      sender = await connect(version, server.senderUrl);
    });
    after(async () => {
      if (client) await disconnect(client);
      if (sender) await disconnect(sender);
      await server?.stop();
    });
    const call = (method, params) =>
      ask(method.startsWith('addMessage') ? sender : client, method, params);

    check('ping answers "pong"', async () => {
      assert.equal(await call('ping'), 'pong');
    });

    check('__listMethods lists the methods', async () => {
      const methods = await client.listMethods();
      for (const method of [
        '__listMethods',
        'ping',
        'addMessage',
        'addMessages',
        'takeFromQueue',
        'getAvailableMessageCount',
        'getQueueStatus',
        'removeMessages',
        'acknowledge',
        'removeAllMessages',
        'addLiveSession',
        'removeLiveSession',
        'getLiveSession',
      ]) {
        assert.ok(methods.includes(method), method);
      }
    });

    check('addMessage answers an object with messageId and receivedAt', async () => {
      const before = Date.now();
      const receipt = await call('addMessage', {
        connectionId: newConnection(),
        recipientDids: ['did:key:z6MkA'],
        payload: envelope(),
      });
      assert.deepEqual(Object.keys(receipt).sort(), ['messageId', 'receivedAt']);
      assert.match(receipt.messageId, messageIdPattern);
      assert.match(receipt.receivedAt, timestampPattern);
      assert.ok(Math.abs(Date.parse(receipt.receivedAt) - before) < 10_000);
    });

    check('takeFromQueue answers messages as they were added', async () => {
      const connectionId = newConnection();
      const receipts = [];
      for (let n = 0; n < 3; n += 1) {
        receipts.push(
          await call('addMessage', {
            connectionId,
            recipientDids: ['did:key:z6MkA'],
            payload: envelope(n),
          }),
        );
      }
      assert.deepEqual(
        await call('takeFromQueue', { connectionId }),
        receipts.map(({ messageId, receivedAt }, n) => ({
          id: messageId,
          receivedAt,
          encryptedMessage: envelope(n),
        })),
      );
    });

    check('takeFromQueue of nothing answers an array', async () => {
      assert.deepEqual(
        await call('takeFromQueue', { connectionId: newConnection(), limit: 10 }),
        [],
      );
    });

    check('getAvailableMessageCount answers a number', async () => {
      const connectionId = newConnection();
      const before = await call('getAvailableMessageCount', { connectionId });
      await call('addMessage', { connectionId, recipientDids: [], payload: envelope() });
      assert.deepEqual([before, await call('getAvailableMessageCount', { connectionId })], [0, 1]);
    });

    check('removeMessages and removeAllMessages answer true', async () => {
      const connectionId = newConnection();
      const { messageId } = await call('addMessage', {
        connectionId,
        recipientDids: ['did:key:z6MkA'],
        payload: envelope(),
      });
      await call('addMessage', {
        connectionId,
        recipientDids: ['did:key:z6MkA'],
        payload: envelope(),
      });
      assert.equal(await call('removeMessages', { connectionId, messageIds: [messageId] }), true);
      assert.equal(await call('getAvailableMessageCount', { connectionId }), 1);
      assert.equal(
        await call('removeAllMessages', { connectionId, recipientDid: 'did:key:z6MkA' }),
        true,
      );
      assert.equal(await call('getAvailableMessageCount', { connectionId }), 0);
    });

    check('the live session methods answer booleans', async () => {
      const connectionId = newConnection();
      assert.deepEqual(
        [
          await call('getLiveSession', { connectionId }),
          await call('removeLiveSession', { connectionId }),
          await call('addLiveSession', { connectionId, sessionId: randomUUID() }),
          await call('getLiveSession', { connectionId }),
          await call('removeLiveSession', { connectionId }),
          await call('getLiveSession', { connectionId }),
        ],
        [false, false, true, true, true, false],
      );
    });

    check('messagesReceived reaches the client that subscribed and holds the session', async () => {
      const connectionId = newConnection();
      const event = new Promise((resolve) => client.once('messagesReceived', resolve));
      await client.subscribe('messagesReceived');
      await call('addLiveSession', { connectionId, sessionId: randomUUID() });
      const { messageId, receivedAt } = await call('addMessage', {
        connectionId,
        recipientDids: ['did:key:z6MkA'],
        payload: envelope(7),
      });
      assert.deepEqual(await within(event, 5000, 'messagesReceived'), {
        connectionId,
        messages: [{ id: messageId, receivedAt, encryptedMessage: envelope(7) }],
        id: '',
      });
      assert.equal(await call('removeMessages', { connectionId, messageIds: [messageId] }), true);
      assert.equal(await call('removeLiveSession', { connectionId }), true);
      assert.deepEqual(await client.unsubscribe('messagesReceived'), { messagesReceived: 'ok' });
    });

    check('the additional methods answer as documented', async () => {
      const connectionId = newConnection();
      const receipts = await call('addMessages', {
        messages: [0, 1].map((n) => ({
          connectionId,
          recipientDids: ['did:key:z6MkA'],
          payload: envelope(n),
          messageId: `${connectionId}-${n}`,
        })),
      });
      assert.deepEqual(
        receipts.map(({ messageId }) => messageId),
        [`${connectionId}-0`, `${connectionId}-1`],
      );
      const status = await call('getQueueStatus', { connectionId });
      assert.equal(status.messageCount, 2);
      assert.deepEqual(
        await call('acknowledge', {
          connectionId,
          messageIds: [receipts[0].messageId, 'unknown-message'],
        }),
        { removed: 1, remaining: 1 },
      );
    });

    check('a call with bad params rejects and the connection lives on', async () => {
      await assert.rejects(
        call('takeFromQueue', { connectionId: { $ne: null } }),
        (error) => error.code === -32602 && /connectionId/.test(error.data.details),
      );
      assert.equal(await call('ping'), 'pong');
    });

    check('params by position reject', async () => {
      await assert.rejects(
        call('getAvailableMessageCount', ['connection']),
        (error) => error.code === -32602,
      );
    });

    check('rpc.login answers true where no token is asked for', async () => {
      assert.equal(await client.login({ token: 'whatever' }), true);
    });

    check('a notification is executed', async () => {
      const connectionId = newConnection();
      await client.notify('addMessage', {
        connectionId,
        recipientDids: ['did:key:z6MkA'],
        payload: envelope(),
      });
      assert.equal(await call('getAvailableMessageCount', { connectionId }), 1);
    });

    check("a thousand calls at once are all answered within the clients' patience", async () => {
      const connectionId = newConnection();
      const receipts = await Promise.all(
        Array.from({ length: 1000 }, (_, n) =>
          call('addMessage', { connectionId, recipientDids: [], payload: envelope(n) }),
        ),
      );
      assert.deepEqual(
        await takeIds({ call: (m, p) => call(m, p) }, { connectionId }),
        receipts.map(({ messageId }) => messageId),
      );
    });
  });
}

describe('methods', () => {
  let server;
  let socket;
  let sender;
  before(async () => {
    server = await Server.start();
    socket = await RpcSocket.open(server.url);
    sender = await RpcSocket.open(server.senderUrl);
  });
  after(async () => {
    socket?.ws.terminate();
    sender?.ws.terminate();
    await server?.stop();
  });

  describe('addMessage', () => {
    for (const [what, token] of [
      ['a token', { type: 'fcm', token: 'device-token' }],
      ['no token in it', { type: 'fcm' }],
      ['null', null],
      ['a null token', { type: 'apns', token: null }],
    ]) {
      check(`takes a pushNotificationToken with ${what}`, async () => {
        const connectionId = newConnection();
        await add(sender, connectionId, 0, { pushNotificationToken: token });
        assert.equal(await countOf(socket, connectionId), 1);
      });
    }

    check('returns the payload byte by byte as it came', async () => {
      const connectionId = newConnection();
      const payload =
        '{ "z":1,\t"a" : "\\u00e9é\\/\\"😀\\ud83d\\ude00", "n":[1.0,1E2,-0,' +
        '123456789012345678901234567890,0.10000000000000000555], "":{}, "a":"again" }';
      await sender.ask(
        `{"jsonrpc":"2.0","id":1,"method":"addMessage","params":{"connectionId":"${
          connectionId
        }","recipientDids":[],"payload":${payload}}}`,
      );
      const { text } = await socket.ask({
        jsonrpc: '2.0',
        id: 2,
        method: 'takeFromQueue',
        params: { connectionId },
      });
      assert.ok(text.includes(`"encryptedMessage":${payload}`), text);
    });

    check('with a messageId seen before answers the first result and stores nothing', async () => {
      const connectionId = newConnection();
      const messageId = randomUUID();
      const first = await add(sender, connectionId, 1, { messageId });
      await add(sender, connectionId, 2);
      const again = await add(sender, connectionId, 3, { messageId });
      assert.deepEqual(again, first);
      assert.deepEqual(
        (await socket.call('takeFromQueue', { connectionId })).map(
          (message) => message.encryptedMessage.n,
        ),
        [1, 2],
      );
    });

    check('with the messageId of an acknowledged message does not bring it back', async () => {
      const connectionId = newConnection();
      const messageId = randomUUID();
      const first = await add(sender, connectionId, 1, { messageId });
      await socket.call('removeMessages', { connectionId, messageIds: [messageId] });
      assert.deepEqual(await add(sender, connectionId, 1, { messageId }), first);
      assert.equal(await countOf(socket, connectionId), 0);
    });

    check('the same messageId in another connection is another message', async () => {
      const [one, other] = [newConnection(), newConnection()];
      const messageId = randomUUID();
      await add(sender, one, 1, { messageId });
      await add(sender, other, 2, { messageId });
      await socket.call('removeMessages', { connectionId: one, messageIds: [messageId] });
      assert.deepEqual([await countOf(socket, one), await countOf(socket, other)], [0, 1]);
    });

    check('keeps a receivedAt that it was given', async () => {
      const connectionId = newConnection();
      const receivedAt = '2026-01-31T12:00:00.000Z';
      assert.equal((await add(sender, connectionId, 0, { receivedAt })).receivedAt, receivedAt);
      const [message] = await socket.call('takeFromQueue', { connectionId });
      assert.equal(message.receivedAt, receivedAt);
    });

    check('keeps the order of arrival whatever receivedAt says', async () => {
      const connectionId = newConnection();
      await add(sender, connectionId, 1, { receivedAt: '2026-01-31T12:00:00.000Z' });
      await add(sender, connectionId, 2, { receivedAt: '2025-01-31T12:00:00.000Z' });
      await add(sender, connectionId, 3);
      assert.deepEqual(
        (await socket.call('takeFromQueue', { connectionId })).map(
          (message) => message.encryptedMessage.n,
        ),
        [1, 2, 3],
      );
    });

    check('with ttlSeconds expires, from count and take alike', async () => {
      const connectionId = newConnection();
      await add(sender, connectionId, 1, { ttlSeconds: 1 });
      await add(sender, connectionId, 2);
      const before = await countOf(socket, connectionId);
      await until(async () => (await countOf(socket, connectionId)) === 1, 'one message expired');
      assert.equal(before, 2);
      assert.deepEqual(
        (await socket.call('takeFromQueue', { connectionId })).map(
          (message) => message.encryptedMessage.n,
        ),
        [2],
      );
    });

    check('addMessages stores in order, over several connections', async () => {
      const [one, other] = [newConnection(), newConnection()];
      const receipts = await sender.call('addMessages', {
        messages: Array.from({ length: 100 }, (_, n) => ({
          connectionId: n % 2 ? one : other,
          recipientDids: [],
          payload: envelope(n),
        })),
      });
      const ids = receipts.map(({ messageId }) => messageId);
      assert.deepEqual(
        await takeIds(socket, { connectionId: one }),
        ids.filter((_, n) => n % 2 === 1),
      );
      assert.deepEqual(
        await takeIds(socket, { connectionId: other }),
        ids.filter((_, n) => n % 2 === 0),
      );
    });

    check('addMessages with one bad member stores nothing and names it', async () => {
      const connectionId = newConnection();
      const good = { connectionId, recipientDids: [], payload: {} };
      const failure = await socket.refusal('addMessages', {
        messages: [good, good, { ...good, payload: 'text' }],
      });
      assert.equal(failure.code, -32602);
      assert.match(failure.data.details, /messages\[2\]\.payload/);
      assert.equal(await countOf(socket, connectionId), 0);
    });
  });

  describe('takeFromQueue', () => {
    check('without a limit, or with 0 or null, takes all', async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, 120);
      for (const limits of [
        {},
        { limit: 0 },
        { limit: null },
        { limitBytes: 0 },
        { limit: 0, limitBytes: null },
      ]) {
        assert.deepEqual(await takeIds(socket, { connectionId, ...limits }), ids);
      }
    });

    check('takes at most limit, the oldest first, and removes nothing', async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, 30);
      assert.deepEqual(await takeIds(socket, { connectionId, limit: 10 }), ids.slice(0, 10));
      assert.deepEqual(await takeIds(socket, { connectionId, limit: 10 }), ids.slice(0, 10));
      assert.deepEqual(await takeIds(socket, { connectionId, limit: 1000 }), ids);
      assert.equal(await countOf(socket, connectionId), 30);
    });

    check('limitBytes bounds the sum of the payloads and keeps the order', async () => {
      const connectionId = newConnection();
      const sizes = [1000, 3000, 200, 100];
      for (const size of sizes) await add(sender, connectionId, 0, { payload: envelope(0, size) });
      const bytes = sizes.map((size) => JSON.stringify(envelope(0, size)).length);
      const taken = async (limits) => (await takeIds(socket, { connectionId, ...limits })).length;
      assert.deepEqual(
        [
          await taken({ limitBytes: bytes[0] }),
          await taken({ limitBytes: bytes[0] + bytes[1] - 1 }),
          await taken({ limitBytes: bytes[0] + bytes[1] }),
          await taken({ limitBytes: bytes[0] + bytes[1], limit: 1 }),
          await taken({ limitBytes: 1_000_000, limit: 3 }),
          await taken({ limitBytes: 1_000_000 }),
        ],
        [1, 1, 2, 1, 3, 4],
      );
    });

    check('a first message larger than limitBytes is returned alone', async () => {
      const connectionId = newConnection();
      await add(sender, connectionId, 0, { payload: envelope(0, 5000) });
      await add(sender, connectionId, 1);
      const first = await socket.call('takeFromQueue', {
        connectionId,
        limitBytes: 100,
        deleteMessages: true,
      });
      const second = await socket.call('takeFromQueue', { connectionId, limitBytes: 100 });
      assert.deepEqual(
        [first, second].map((messages) => messages.map((message) => message.encryptedMessage.n)),
        [[0], [1]],
      );
    });

    check('deleteMessages removes exactly what it returns', async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, 25);
      const batches = [];
      for (;;) {
        const batch = await takeIds(socket, { connectionId, limit: 10, deleteMessages: true });
        if (batch.length === 0) break;
        batches.push(batch);
      }
      assert.deepEqual(
        batches.map((batch) => batch.length),
        [10, 10, 5],
      );
      assert.deepEqual(batches.flat(), ids);
      assert.equal(await countOf(socket, connectionId), 0);
    });

    check('deleteMessages by several callers at once returns each message once', async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, 200);
      const others = await Promise.all([1, 2, 3].map(() => RpcSocket.open(server.senderUrl)));
      const taken = (
        await Promise.all(
          [socket, ...others].flatMap((caller) =>
            Array.from({ length: 6 }, () =>
              takeIds(caller, { connectionId, limit: 10, deleteMessages: true }),
            ),
          ),
        )
      ).flat();
      assert.equal(taken.length, 200);
      assert.deepEqual([...taken].sort(), [...ids].sort());
      for (const other of others) await other.close();
    });

    check('more than one answer may hold comes in several', async () => {
      const connectionId = newConnection();
      const payload = envelope(0, 1024 * 1024);
      for (let n = 0; n < 12; n += 1) await add(sender, connectionId, n, { payload });
      let rounds = 0;
      for (let left = 12; left > 0; rounds += 1) {
        const ids = await takeIds(socket, { connectionId });
        assert.ok(ids.length > 0);
        left = (await socket.call('acknowledge', { connectionId, messageIds: ids })).remaining;
      }
      assert.ok(rounds >= 1 && rounds <= 12);
      assert.equal(await countOf(socket, connectionId), 0);
    });
  });

  describe('recipientDid', () => {
    const [alice, bob, eve] = ['did:key:z6MkAlice', 'did:key:z6MkBob', 'did:key:z6MkEve'];

    async function mixedQueue() {
      const connectionId = newConnection();
      const ids = [];
      for (const recipientDids of [[alice], [bob], [alice, bob], []]) {
        ids.push((await add(sender, connectionId, 0, { recipientDids })).messageId);
      }
      return { connectionId, ids };
    }

    check('and connectionId both hold, in take, count and status', async () => {
      const { connectionId, ids } = await mixedQueue();
      await add(sender, newConnection(), 0, { recipientDids: [alice] });
      const views = [];
      for (const recipientDid of [alice, bob, eve]) {
        const status = await socket.call('getQueueStatus', { connectionId, recipientDid });
        views.push([
          await takeIds(socket, { connectionId, recipientDid }),
          await countOf(socket, connectionId, { recipientDid }),
          status.messageCount,
        ]);
      }
      assert.deepEqual(views, [
        [[ids[0], ids[2]], 2, 2],
        [[ids[1], ids[2]], 2, 2],
        [[], 0, 0],
      ]);
      assert.deepEqual(await takeIds(socket, { connectionId }), ids);
    });

    check('limits what take with deleteMessages removes', async () => {
      const { connectionId, ids } = await mixedQueue();
      assert.deepEqual(
        await takeIds(socket, { connectionId, recipientDid: bob, limit: 1, deleteMessages: true }),
        [ids[1]],
      );
      assert.deepEqual(await takeIds(socket, { connectionId }), [ids[0], ids[2], ids[3]]);
    });

    check('limits what removeAllMessages removes', async () => {
      const { connectionId, ids } = await mixedQueue();
      assert.equal(
        await socket.call('removeAllMessages', { connectionId, recipientDid: alice }),
        true,
      );
      assert.deepEqual(await takeIds(socket, { connectionId }), [ids[1], ids[3]]);
    });
  });

  describe('removeMessages', () => {
    check('removes every id of a long queue, wherever it is', async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, 300);
      const chosen = ids.filter((_, n) => n >= 24 && n % 3 === 0);
      assert.equal(await socket.call('removeMessages', { connectionId, messageIds: chosen }), true);
      assert.equal(await countOf(socket, connectionId), 300 - chosen.length);
      assert.deepEqual(
        await takeIds(socket, { connectionId }),
        ids.filter((id) => !chosen.includes(id)),
      );
    });

    check('is idempotent and ignores unknown ids', async () => {
      const connectionId = newConnection();
      const [id] = await addMany(sender, connectionId, 2);
      for (const messageIds of [[id, 'unknown-message'], [id], [id, id], []]) {
        assert.equal(await socket.call('removeMessages', { connectionId, messageIds }), true);
        assert.equal(await countOf(socket, connectionId), 1);
      }
    });

    check('never touches another connection', async () => {
      const [mine, other] = [newConnection(), newConnection()];
      const [id] = await addMany(sender, other, 1);
      assert.equal(
        await socket.call('removeMessages', { connectionId: mine, messageIds: [id] }),
        true,
      );
      assert.equal(await countOf(socket, other), 1);
    });

    check('is seen by a count right behind it on any socket', async () => {
      const connectionId = newConnection();
      const other = await RpcSocket.open(server.senderUrl);
      for (let round = 0; round < 50; round += 1) {
        const [id] = await addMany(sender, connectionId, 1);
        const removed = socket.call('removeMessages', { connectionId, messageIds: [id] });
        const counted = countOf(socket, connectionId);
        assert.deepEqual([await removed, await counted], [true, 0]);
        assert.equal(await countOf(other, connectionId), 0);
      }
      await other.close();
    });

    check('acknowledge says what it removed and what is left', async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, 5);
      const outcomes = [];
      for (const messageIds of [ids.slice(0, 2), ids.slice(1, 3), [], ids]) {
        outcomes.push(await socket.call('acknowledge', { connectionId, messageIds }));
      }
      assert.deepEqual(outcomes, [
        { removed: 2, remaining: 3 },
        { removed: 1, remaining: 2 },
        { removed: 0, remaining: 2 },
        { removed: 2, remaining: 0 },
      ]);
    });
  });

  describe('getQueueStatus', () => {
    check('agrees with take and count', async () => {
      const connectionId = newConnection();
      const receipts = [];
      for (let n = 0; n < 4; n += 1) receipts.push(await add(sender, connectionId, n));
      const status = await socket.call('getQueueStatus', { connectionId });
      const bytes = [0, 1, 2, 3]
        .map((n) => JSON.stringify(envelope(n)).length)
        .reduce((sum, size) => sum + size);
      assert.deepEqual(
        { ...status, longestWaitedSeconds: 0 },
        {
          messageCount: 4,
          totalBytes: bytes,
          oldestReceivedTime: receipts[0].receivedAt,
          newestReceivedTime: receipts[3].receivedAt,
          longestWaitedSeconds: 0,
          inFlight: 0,
          liveDelivery: false,
        },
      );
      assert.ok(status.longestWaitedSeconds >= 0 && status.longestWaitedSeconds < 60);
    });

    check('of an empty queue counts nothing and names no times', async () => {
      const status = await socket.call('getQueueStatus', { connectionId: newConnection() });
      assert.equal(status.messageCount, 0);
      assert.equal(status.totalBytes, 0);
      assert.equal(status.oldestReceivedTime ?? null, null);
      assert.equal(status.newestReceivedTime ?? null, null);
      assert.equal(status.inFlight, 0);
    });

    check('shows what is in flight to a live session', async () => {
      const connectionId = newConnection();
      await socket.call('addLiveSession', { connectionId, sessionId: 'session-1' });
      await addMany(sender, connectionId, 2);
      await socket.receivedIds(2);
      const status = await socket.call('getQueueStatus', { connectionId });
      assert.deepEqual([status.messageCount, status.inFlight, status.liveDelivery], [0, 2, true]);
      await socket.call('removeLiveSession', { connectionId });
    });
  });

  describe('connectionIds', () => {
    for (const connectionId of [
      'a',
      '*',
      'x'.repeat(255),
      'é😀日本',
      '__proto__',
      'constructor',
      ' leading and trailing ',
      '../../etc/passwd',
      '{"$ne":null}',
      'a:b:c',
      '"quoted\\',
    ]) {
      check(`${JSON.stringify(connectionId).slice(0, 40)} is a connection of its own`, async () => {
        const ids = await addMany(sender, connectionId, 2);
        assert.deepEqual(await takeIds(socket, { connectionId }), ids);
        assert.equal(await countOf(socket, `${connectionId.slice(0, 200)}.`), 0);
        assert.equal(await socket.call('removeAllMessages', { connectionId }), true);
        assert.equal(await countOf(socket, connectionId), 0);
      });
    }
  });

  check('calls without the params they need name what is missing', async () => {
    const expected = {
      addMessage: /params|connectionId/,
      takeFromQueue: /params|connectionId/,
      getAvailableMessageCount: /params|connectionId/,
      removeMessages: /params|connectionId/,
      removeAllMessages: /params|connectionId/,
      addLiveSession: /params|connectionId/,
      removeLiveSession: /params|connectionId/,
      getLiveSession: /params|connectionId/,
      getQueueStatus: /params|connectionId/,
      acknowledge: /params|connectionId/,
      addMessages: /params|messages/,
    };
    for (const [method, pattern] of Object.entries(expected)) {
      const failure = await socket.refusal(method);
      assert.equal(failure.code, -32602, method);
      assert.match(failure.data.details, pattern, method);
    }
  });
});

checkWithServer(
  'one answer holds no more payload than the configured bound, but always one message',
  { env: { ...quickStore, MPR_MAX_RESPONSE_BYTES: '64KiB' } },
  async (server) => {
    const socket = await RpcSocket.open(server.url);
    const [small, large] = [newConnection(), newConnection()];
    const ids = await addMany(socket, small, 10, { payload: envelope(0, 30 * 1024) });
    const [first] = await addMany(socket, large, 2, { payload: envelope(0, 100 * 1024) });
    assert.deepEqual(await takeIds(socket, { connectionId: small }), ids.slice(0, 2));
    assert.deepEqual(
      await takeIds(socket, { connectionId: small, deleteMessages: true }),
      ids.slice(0, 2),
    );
    assert.deepEqual(await takeIds(socket, { connectionId: small, limit: 1 }), [ids[2]]);
    assert.deepEqual(await takeIds(socket, { connectionId: large }), [first]);
    assert.equal(await countOf(socket, small), 8);
    await socket.close();
  },
);

describe('rpc.login', () => {
  const token = 'correct-horse-battery-staple';
  const options = { env: { ...quickStore, MPR_AUTH_TOKEN: token } };

  checkWithServer(
    'is asked for before every method that touches a queue',
    options,
    async (server) => {
      const socket = await RpcSocket.open(server.url);
      const connectionId = newConnection();
      for (const [method, params] of [
        ['addMessage', { connectionId, recipientDids: [], payload: {} }],
        ['takeFromQueue', { connectionId }],
        ['getAvailableMessageCount', { connectionId }],
        ['addLiveSession', { connectionId, sessionId: 's' }],
        ['rpc.on', ['messagesReceived']],
      ]) {
        assert.equal((await socket.refusal(method, params)).code, 401, method);
      }
      assert.equal(await socket.call('ping'), 'pong');
      assert.equal(await socket.call('rpc.login', { token }), true);
      await add(socket, connectionId);
      assert.equal(await countOf(socket, connectionId), 1);
      await socket.close();
    },
  );

  checkWithServer('with a wrong token opens nothing', options, async (server) => {
    const socket = await RpcSocket.open(server.url);
    for (const params of [
      { token: 'wrong' },
      { token: '' },
      { token: `${token}x` },
      {},
      { token: 5 },
    ]) {
      const { json } = await socket.ask({ jsonrpc: '2.0', method: 'rpc.login', params, id: 1 });
      assert.notEqual(json.result, true, JSON.stringify(params));
    }
    assert.equal((await socket.refusal('getLiveSession', { connectionId: 'c' })).code, 401);
    await socket.close();
  });

  checkWithServer('may be done by a bearer token in the handshake', options, async (server) => {
    const good = await RpcSocket.open(server.url, {
      headers: { Authorization: `Bearer ${token}` },
    });
    assert.equal(await good.call('getLiveSession', { connectionId: 'c' }), false);
    await good.close();
  });

  for (const version of clients) {
    checkWithServer(`works with ${version.name}`, options, async (server) => {
      const client = await connect(version, server.url);
      assert.equal(await client.login({ token }), true);
      assert.equal(await ask(client, 'getLiveSession', { connectionId: 'c' }), false);
      await disconnect(client);
    });
  }
});
