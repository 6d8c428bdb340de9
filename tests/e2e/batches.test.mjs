// Batches: members in order, notifications drop out.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { quickStore } from './support/backends.mjs';
import { check } from './support/case.mjs';
import { envelope, newConnection } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';

const request = (method, params, id) => ({ jsonrpc: '2.0', method, params, id });
const count = (connectionId, id) => request('getAvailableMessageCount', { connectionId }, id);
const add = (connectionId, id, n = 0) =>
  request(
    'addMessage',
    { connectionId, recipientDids: ['did:key:z6MkA'], payload: envelope(n) },
    id,
  );

describe('batches', () => {
  let server;
  let socket;
  before(async () => {
    server = await Server.start({ env: quickStore });
    socket = await RpcSocket.open(server.url);
  });
  after(async () => {
    socket?.ws.terminate();
    await server?.stop();
  });

  check('answers every member in order, in one frame', async () => {
    const { json } = await socket.ask([
      request('ping', undefined, 3),
      request('nonsense', undefined, 'x'),
      request('ping', undefined, 1),
    ]);
    assert.deepEqual(
      json.map(({ id, result, error }) => ({ id, result, code: error?.code })),
      [
        { id: 3, result: 'pong', code: undefined },
        { id: 'x', result: undefined, code: -32601 },
        { id: 1, result: 'pong', code: undefined },
      ],
    );
  });

  check('applies its members in order', async () => {
    const connectionId = newConnection();
    const { json } = await socket.ask([
      count(connectionId, 1),
      add(connectionId, 2),
      count(connectionId, 3),
      add(connectionId, 4),
      count(connectionId, 5),
      request('removeAllMessages', { connectionId }, 6),
      count(connectionId, 7),
    ]);
    assert.deepEqual(
      json.map((answer) => answer.id),
      [1, 2, 3, 4, 5, 6, 7],
    );
    assert.deepEqual(
      [0, 2, 4, 5, 6].map((index) => json[index].result),
      [0, 1, 2, true, 0],
    );
  });

  check('executes notifications and leaves them out of the answer', async () => {
    const connectionId = newConnection();
    const { json } = await socket.ask([
      add(connectionId),
      { ...add(connectionId), id: null },
      count(connectionId, 'only'),
    ]);
    assert.deepEqual(json, [{ jsonrpc: '2.0', result: 2, id: 'only' }]);
  });

  check('gets no frame when it holds only notifications', async () => {
    const fresh = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    fresh.send([add(connectionId), add(connectionId)]);
    const { json } = await fresh.ask(count(connectionId, 1));
    assert.equal(json.result, 2);
    assert.equal(fresh.frames.length, 1);
    await fresh.close();
  });

  check('is an invalid array when it is empty', async () => {
    const { json } = await socket.ask('[ ]');
    assert.deepEqual(json, {
      jsonrpc: '2.0',
      error: { code: -32600, message: 'Invalid Request', data: 'Invalid array' },
      id: null,
    });
  });

  check('answers members that are no requests one by one', async () => {
    const { json } = await socket.ask(
      '[1, null, "ping", {}, [], {"jsonrpc":"2.0","method":"ping","id":9}]',
    );
    assert.equal(json.length, 6);
    assert.deepEqual(
      json.map((answer) => [answer.id, answer.error?.code]),
      [
        [null, -32600],
        [null, -32600],
        [null, -32600],
        [null, -32600],
        [null, -32600],
        [9, undefined],
      ],
    );
  });

  check('holds a thousand members', async () => {
    const connectionId = newConnection();
    const members = Array.from({ length: 1000 }, (_, n) => add(connectionId, n, n));
    const { json } = await socket.ask(members);
    assert.deepEqual(
      json.map((answer) => answer.id),
      members.map((member) => member.id),
    );
    const { json: taken } = await socket.ask(request('takeFromQueue', { connectionId }, 1));
    assert.deepEqual(
      taken.result.map((message) => message.id),
      json.map((answer) => answer.result.messageId),
    );
  });

  check('with a bad member does what the others ask', async () => {
    const connectionId = newConnection();
    const { json } = await socket.ask([
      add(connectionId, 1),
      request('addMessage', { connectionId, payload: 'text' }, 2),
      count(connectionId, 3),
    ]);
    assert.deepEqual(
      json.map((answer) => answer.error?.code),
      [undefined, -32602, undefined],
    );
    assert.equal(json[2].result, 1);
  });

  check('subscribes as a single request does', async () => {
    const { json } = await socket.ask([
      request('rpc.on', ['messagesReceived'], 1),
      request('rpc.off', ['messagesReceived'], 2),
    ]);
    assert.deepEqual(
      json.map((answer) => answer.result),
      [{ messagesReceived: 'ok' }, { messagesReceived: 'ok' }],
    );
  });
});
