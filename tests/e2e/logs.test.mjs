// Logs: sentences with ids, never payloads or tokens, and quiet by default.

import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { checkWithServer } from './support/case.mjs';
import { addMany, envelope, newConnection, takeIds } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { frame, TcpPeer } from './support/tcp_peer.mjs';

const secrets = {
  payload: 'PAYLOAD-MUST-NOT-SHOW',
  push: 'PUSH-TOKEN-MUST-NOT-SHOW',
  token: 'AUTH-TOKEN-MUST-NOT-SHOW',
  wrong: 'WRONG-TOKEN-MUST-NOT-SHOW',
};

async function useEverything(server) {
  const socket = await RpcSocket.open(server.url);
  const connectionId = newConnection();
  const payload = { ...envelope(), secret: secrets.payload };
  const params = {
    connectionId,
    recipientDids: ['did:key:z6MkA'],
    payload,
    pushNotificationToken: { type: 'fcm', token: secrets.push },
  };
  await socket.refusal('addMessage', params);
  await socket.call('rpc.login', { token: secrets.wrong }).catch(() => {});
  await socket.call('rpc.login', { token: secrets.token });
  await socket.call('addLiveSession', { connectionId, sessionId: 'session-1' });
  await socket.call('addMessage', params);
  await socket.call('addMessage', { ...params, connectionId: newConnection('offline') });
  await socket.call('addMessages', { messages: [params, params] });
  await socket.receivedIds(3);
  await takeIds(socket, { connectionId });
  await socket.refusal('addMessage', { ...params, recipientDids: secrets.payload });
  await socket.refusal('addMessage', { ...params, payload: secrets.payload });
  await socket.refusal('addMessage', { ...params, pushNotificationToken: secrets.push });
  await socket.refusal('addMessage', {
    ...params,
    pushNotificationToken: { type: 'pigeon', token: secrets.push },
  });
  await socket.ask(
    `{"jsonrpc":"2.0","method":"addMessage","params":{"payload":{"secret":"${secrets.payload}"`,
  );
  const broken = await TcpPeer.upgraded(server.ports.ws, `/?token=${secrets.token}`);
  broken.write(frame(`{"secret":"${secrets.payload}"}`, { rsv: 1 }));
  await broken.closeCode();
  await socket.call('removeAllMessages', { connectionId });
  socket.ws.terminate();
  await socket.closed;
}

for (const format of ['text', 'json']) {
  checkWithServer(
    `hold no payload and no token at debug level, as ${format}`,
    {
      env: {
        LOG_LEVEL: 'debug',
        MPR_LOG_FORMAT: format,
        MPR_AUTH_TOKEN: secrets.token,
        // What somebody left in /dev/shm makes the driver speak before the log begins.
        MONGOC_DISABLE_SHM: '1',
      },
    },
    async (server) => {
      await useEverything(server);
      await server.stop();
      assert.ok(server.log.length > 0);
      for (const [what, text] of Object.entries(secrets)) {
        assert.ok(!server.log.includes(text), `${what} is in the log:\n${server.log}`);
      }
      if (format === 'json') {
        for (const line of server.log.trimEnd().split('\n')) {
          assert.equal(typeof JSON.parse(line), 'object', line);
        }
      }
    },
  );
}

describe('by default', () => {
  checkWithServer('nothing is written per message', {}, async (server) => {
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    await addMany(socket, connectionId, 10);
    const before = server.log.split('\n').length;
    const ids = await addMany(socket, connectionId, 500);
    await takeIds(socket, { connectionId });
    await socket.call('removeMessages', { connectionId, messageIds: ids });
    assert.ok(server.log.split('\n').length - before < 5, server.tail());
    await socket.close();
  });

  checkWithServer(
    'the start says version, ports and data directory, the stop that it was one',
    {},
    async (server) => {
      await server.stop();
      assert.match(server.log, /\d+\.\d+\.\d+/);
      assert.ok(server.log.includes(String(server.ports.ws)), server.log);
      assert.ok(server.log.includes(String(server.ports.app)), server.log);
      assert.ok(server.log.includes(server.dataDirectory), server.log);
      assert.match(server.log, /(stop|drain|shut)/i);
    },
  );
});
