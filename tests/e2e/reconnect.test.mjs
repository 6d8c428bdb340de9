// Stops, crashes and restarts as the clients see them.

import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { check, checkWithServer } from './support/case.mjs';
import { add, addMany, countOf, envelope, newConnection, takeIds } from './support/messages.mjs';
import { ask, clients, connect, disconnect } from './support/rpc_websockets.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { TcpPeer } from './support/tcp_peer.mjs';
import { until, within } from './support/wait.mjs';

// The time a stop may take: clients give up for good some four seconds after they lost us.
const drainTime = 5000;

describe('SIGTERM', () => {
  checkWithServer('closes every socket with 1012 and exits with 0 in time', {}, async (server) => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => RpcSocket.open(server.url)));
    const begin = Date.now();
    server.signal('SIGTERM');
    const closes = await Promise.all(
      sockets.map((socket) => within(socket.closed, drainTime, 'the close frame')),
    );
    assert.deepEqual([...new Set(closes.map((close) => close.code))], [1012]);
    assert.deepEqual(await server.end(), { code: 0, signal: null });
    assert.ok(Date.now() - begin < drainTime, `${Date.now() - begin} ms`);
  });

  checkWithServer('SIGINT does the same', {}, async (server) => {
    const socket = await RpcSocket.open(server.url);
    server.signal('SIGINT');
    assert.equal((await within(socket.closed, drainTime, 'the close frame')).code, 1012);
    assert.deepEqual(await server.end(), { code: 0, signal: null });
  });

  checkWithServer('is announced to those who listen for serverDraining', {}, async (server) => {
    const [listener, other] = [await RpcSocket.open(server.url), await RpcSocket.open(server.url)];
    await listener.call('rpc.on', ['serverDraining']);
    server.signal('SIGTERM');
    const { json } = await listener.events.next();
    assert.equal(json.method, 'serverDraining');
    assert.ok(!('id' in json));
    await other.closed;
    assert.deepEqual(other.frames, []);
    await server.end();
  });

  checkWithServer(
    'with a peer that never answers the close frame still ends in time',
    { env: { MPR_DRAIN_TIMEOUT_MS: '1000' } },
    async (server) => {
      const silent = await TcpPeer.upgraded(server.ports.ws);
      const deaf = await TcpPeer.upgraded(server.ports.ws);
      deaf.socket.pause();
      const begin = Date.now();
      server.signal('SIGTERM');
      assert.equal(await silent.closeCode(), 1012);
      assert.deepEqual(await server.end(), { code: 0, signal: null });
      assert.ok(Date.now() - begin < 1000 + drainTime, `${Date.now() - begin} ms`);
      silent.destroy();
      deaf.destroy();
    },
  );

  checkWithServer('in mid-add loses nothing that was answered', {}, async (server) => {
    const connectionId = newConnection();
    const socket = await RpcSocket.open(server.url);
    const answered = [];
    const calls = Array.from({ length: 2000 }, (_, n) =>
      add(socket, connectionId, n).then(
        ({ messageId }) => answered.push(messageId),
        () => {},
      ),
    );
    await calls[100];
    server.signal('SIGTERM');
    await Promise.all(calls);
    assert.equal((await socket.closed).code, 1012);
    assert.equal((await server.end()).code, 0);
    await server.relaunch();
    const after = await RpcSocket.open(server.url);
    const stored = await takeIds(after, { connectionId });
    assert.ok(answered.length > 100);
    assert.deepEqual(
      stored.filter((id) => answered.includes(id)),
      answered,
    );
    assert.equal(new Set(stored).size, stored.length);
    await after.close();
  });

  checkWithServer('stops accepting while it drains', {}, async (server) => {
    const socket = await RpcSocket.open(server.url);
    server.signal('SIGTERM');
    await socket.closed;
    await server.end();
    await assert.rejects(RpcSocket.open(server.url));
  });
});

for (const version of clients) {
  for (const [how, stop] of [
    ['a restart', (server) => server.stop()],
    ['kill -9', (server) => server.kill()],
  ]) {
    checkWithServer(`${version.name} comes back after ${how} and goes on`, {}, async (server) => {
      const client = await connect(version, server.url);
      const connectionId = newConnection();
      const messages = [];
      let arrived;
      client.on('messagesReceived', (event) => {
        messages.push(...event.messages);
        arrived?.();
      });
      // As the existing client does: subscribe at each open, addLiveSession only once.
      client.on('open', () => client.subscribe('messagesReceived'));
      await client.subscribe('messagesReceived');
      await ask(client, 'addLiveSession', { connectionId, sessionId: 'session-1' });
      const offline = newConnection();
      const kept = await ask(client, 'addMessage', {
        connectionId: offline,
        recipientDids: [],
        payload: envelope(1),
      });

      const lost = new Promise((resolve) => client.once('close', resolve));
      const back = new Promise((resolve) => client.once('open', resolve));
      await stop(server);
      const code = await within(lost, 5000, 'the client notices');
      await server.relaunch();
      await within(back, 6000, 'the client reconnects');
      assert.notEqual(code, 1000);

      assert.deepEqual(
        (await ask(client, 'takeFromQueue', { connectionId: offline })).map(
          (message) => message.id,
        ),
        [kept.messageId],
      );
      const subscribed = await client.subscribe('messagesReceived');
      assert.equal(typeof subscribed.messagesReceived, 'string');
      const live = await ask(client, 'addMessage', {
        connectionId,
        recipientDids: [],
        payload: envelope(2),
      });
      if (messages.length === 0) {
        await within(
          new Promise((resolve) => {
            arrived = resolve;
          }),
          5000,
          'messagesReceived',
        );
      }
      assert.equal(
        await ask(client, 'removeMessages', { connectionId, messageIds: [live.messageId] }),
        true,
      );
      assert.equal(await ask(client, 'getAvailableMessageCount', { connectionId }), 0);
      await until(() => ask(client, 'getLiveSession', { connectionId }), 'the session is taken on');
      assert.deepEqual([...new Set(messages.map((message) => message.id))], [live.messageId]);
      await disconnect(client);
    });
  }
}

describe('a restart', () => {
  checkWithServer(
    "is ready within the clients' patience with many messages kept",
    {},
    async (server) => {
      const socket = await RpcSocket.open(server.url);
      const connections = Array.from({ length: 20 }, () => newConnection());
      const ids = [];
      for (const connectionId of connections) ids.push(await addMany(socket, connectionId, 500));
      await server.kill();
      const begin = Date.now();
      await server.relaunch();
      assert.ok(Date.now() - begin < 4000, `${Date.now() - begin} ms`);
      const after = await RpcSocket.open(server.url);
      for (const [n, connectionId] of connections.entries()) {
        assert.deepEqual(await takeIds(after, { connectionId }), ids[n]);
      }
      await after.close();
    },
  );

  checkWithServer('keeps what is acknowledged gone and what is not there', {}, async (server) => {
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    const ids = await addMany(socket, connectionId, 100);
    await socket.call('removeMessages', { connectionId, messageIds: ids.slice(0, 40) });
    const taken = await takeIds(socket, { connectionId, limit: 20, deleteMessages: true });
    await server.stop();
    await server.relaunch();
    const after = await RpcSocket.open(server.url);
    assert.deepEqual(taken, ids.slice(40, 60));
    assert.deepEqual(await takeIds(after, { connectionId }), ids.slice(60));
    assert.equal(await countOf(after, connectionId), 40);
    await after.close();
  });

  checkWithServer('remembers idempotency keys', {}, async (server) => {
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    const first = await add(socket, connectionId, 1, { messageId: 'message-kept' });
    const second = await add(socket, connectionId, 2, { messageId: 'message-acknowledged' });
    await socket.call('removeMessages', { connectionId, messageIds: ['message-acknowledged'] });
    await server.kill();
    await server.relaunch();
    const after = await RpcSocket.open(server.url);
    assert.deepEqual(
      [
        await add(after, connectionId, 1, { messageId: 'message-kept' }),
        await add(after, connectionId, 2, { messageId: 'message-acknowledged' }),
      ],
      [first, second],
    );
    assert.deepEqual(await takeIds(after, { connectionId }), ['message-kept']);
    await after.close();
  });

  check('of the memory backend begins empty', async () => {
    const server = await Server.start({ env: { MPR_BACKEND: 'memory' } });
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    await add(socket, connectionId);
    await server.stop();
    await server.relaunch();
    const after = await RpcSocket.open(server.url);
    assert.equal(await countOf(after, connectionId), 0);
    await after.close();
    await server.stop();
  });
});
