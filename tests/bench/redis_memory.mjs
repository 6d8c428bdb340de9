// What messages and live sessions cost in Redis, by INFO memory before and after:
//   sh tests/e2e/install.sh && MPR_BIN=build/release/mpr node tests/bench/redis_memory.mjs
// Starts a redis-server of its own for each row, and one gateway.

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';

import { startServers, stopServers } from '../e2e/support/backends.mjs';
import { envelope } from '../e2e/support/messages.mjs';
import { RpcSocket } from '../e2e/support/rpc_socket.mjs';
import { Gateway, temporaryDirectory } from '../e2e/support/server.mjs';

const messages = 20_000;
const sessions = 100_000;
const payloadBytes = 1_100;
const callsAtOnce = 500;

const padding = payloadBytes - JSON.stringify(envelope(10_000)).length;
const payload = (n) => envelope(10_000 + n, padding);

// `count` calls, some at once; `params` makes those of the n-th.
async function callMany(socket, count, method, params) {
  for (let begin = 0; begin < count; begin += callsAtOnce) {
    const some = Array.from({ length: Math.min(callsAtOnce, count - begin) }, (_, k) =>
      socket.call(method, params(begin + k)),
    );
    await Promise.all(some);
  }
}

// Bytes that `load` leaves in an own Redis, with its tables and allocator, and without.
async function cost(nodeBytes, load) {
  const { REDIS_URL } = await startServers('redis', { database: false });
  const cli = (...words) => execFileSync('redis-cli', ['-u', REDIS_URL, ...words]).toString();
  cli('CONFIG', 'SET', 'stream-node-max-bytes', String(nodeBytes));
  const gateway = new Gateway(temporaryDirectory(), { REDIS_URL }, []);
  await gateway.launch(15_000);
  const socket = await RpcSocket.open(`ws://127.0.0.1:${gateway.ports.ws}`);
  const used = () => {
    const info = cli('INFO', 'memory');
    return ['used_memory', 'used_memory_dataset'].map((name) =>
      Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)[1]),
    );
  };
  await callMany(socket, callsAtOnce, 'ping', () => ({})); // buffers have their size
  const before = used();
  await load(socket);
  const after = used();
  socket.ws.terminate();
  gateway.child.kill('SIGKILL');
  await gateway.ended;
  stopServers();
  return after.map((bytes, n) => bytes - before[n]);
}

const addEach = (perQueue) => {
  const ids = Array.from({ length: messages / perQueue }, () => randomUUID());
  return (socket) =>
    callMany(socket, messages, 'addMessage', (n) => ({
      connectionId: ids[n % ids.length],
      recipientDids: ['did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH'],
      payload: payload(n),
    }));
};

const openEach = (socket) =>
  callMany(socket, sessions, 'addLiveSession', () => ({
    connectionId: randomUUID(),
    sessionId: randomUUID(),
  }));

console.log(`payloads of ${JSON.stringify(payload(0)).length} bytes, connection ids of 36`);
for (const nodeBytes of [1024, 4096]) {
  for (const perQueue of [20, 1]) {
    const [all] = await cost(nodeBytes, addEach(perQueue));
    const each = (all / messages).toFixed(0);
    console.log(`stream-node-max-bytes ${nodeBytes}, ${perQueue} in a queue: ${each} bytes a message`);
  }
}
const [all, data] = await cost(1024, openEach);
console.log(
  `a live session: ${(data / sessions).toFixed(0)} bytes of data, ${(all / sessions).toFixed(0)} with the tables`,
);
