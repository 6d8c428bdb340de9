// The story of scripts/cluster-demo, told as it happens. Exits with 1 if it takes another turn.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { startServers } from './support/backends.mjs';
import { request } from './support/http.mjs';
import { envelope } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Gateway, temporaryDirectory } from './support/server.mjs';
import { until } from './support/wait.mjs';

const say = (text) => console.log(text);
let step = 0;
const headline = (text) => say(`\n${(step += 1)}. ${text}`);
const short = (value) => {
  const text = JSON.stringify(value);
  return text.length <= 110 ? text : `${text.slice(0, 70)} ... ${text.slice(-36)}`;
};

// A client whose calls and events are printed.
async function client(name, gateway) {
  const socket = await RpcSocket.open(`ws://127.0.0.1:${gateway.ports.ws}`);
  const call = async (method, params) => {
    const began = performance.now();
    const result = await socket.call(method, params);
    const took = (performance.now() - began).toFixed(1);
    say(`   ${name} -> ${gateway.name}: ${method} ${short(params)}`);
    say(`   ${name} <- ${gateway.name}: ${short(result)}  (${took} ms)`);
    return result;
  };
  return { socket, call };
}

const connectionId = 'phone-1';
const add = (sender, n) =>
  sender.call('addMessage', { connectionId, recipientDids: ['did:key:z6MkA'], payload: envelope(n) });

async function startAll() {
  headline('Redis, a database and two gateways start.');
  let servers;
  try {
    servers = await startServers('redis');
    say(`   database ${servers.MONGODB_URI}`);
  } catch (error) {
    say(`   no database (${error.message.trim().split('\n')[0]}): everything stays in Redis`);
    servers = await startServers('redis', { database: false });
  }
  say(`   Redis    ${servers.REDIS_URL}`);
  const directory = temporaryDirectory();
  const gateways = ['A', 'B'].map((name) => {
    const own = join(directory, name);
    mkdirSync(own);
    const env = { ...servers, MPR_REDIS_PREFIX: 'demo', THRESHOLD_TIMESTAMP: '2000' };
    return Object.assign(new Gateway(own, env, []), { name });
  });
  await Promise.all(gateways.map((gateway) => gateway.launch(20_000)));
  for (const { name, ports, child } of gateways) {
    say(`   gateway ${name}: WS_PORT=${ports.ws} APP_PORT=${ports.app} mpr serve  (pid ${child.pid})`);
  }
  say(`   each with REDIS_URL and MONGODB_URI of above, and THRESHOLD_TIMESTAMP=2000`);
  return { gateways, archives: servers.MONGODB_URI !== undefined };
}

async function tell() {
  const { gateways, archives } = await startAll();
  const [a, b] = gateways;

  headline('Mediator M is connected to A and opens a live session for a phone.');
  const mediator = await client('M', a);
  await mediator.call('addLiveSession', { connectionId, sessionId: 'session-1' });

  headline('Sender S is connected to B and adds three messages. Each arrives at M, live.');
  const sender = await client('S', b);
  const ids = [];
  for (let n = 1; n <= 3; n += 1) {
    ids.push((await add(sender, n)).messageId);
    const [delivered] = await mediator.socket.receivedIds(1);
    assert.equal(delivered, ids.at(-1));
    say(`   M <- A: event messagesReceived with ${delivered}`);
  }

  headline('The phone acknowledges the first one. Then gateway A dies: kill -9.');
  await mediator.call('removeMessages', { connectionId, messageIds: ids.slice(0, 1) });
  a.child.kill('SIGKILL');
  await a.ended;
  await mediator.socket.closed;
  say('   A is gone, and with it the socket of M');

  headline('S goes on at B as if nothing had happened.');
  ids.push((await add(sender, 4)).messageId);

  if (archives) {
    headline('What waits for more than two seconds moves to the database.');
    const moved = async () => {
      const { body } = await request(`http://127.0.0.1:${b.ports.app}/metrics`);
      return Number(/^mpr_messages_archived_total (\d+)/m.exec(body)?.[1]) >= 3;
    };
    await until(moved, 'the messages are archived', 30_000);
    say('   3 messages are in the database now');
  }

  headline('M comes back, at B, and picks up everything that was not acknowledged, in order.');
  const back = await client('M', b);
  await back.call('addLiveSession', { connectionId, sessionId: 'session-2' });
  const taken = await back.call('takeFromQueue', { connectionId, limit: 10 });
  assert.deepEqual(
    taken.map(({ id }) => id),
    ids.slice(1),
  );
  say(`   in order: ${taken.map(({ encryptedMessage }) => `message ${encryptedMessage.n}`).join(', ')}`);
  await back.call('removeMessages', { connectionId, messageIds: ids.slice(1) });
  assert.equal(await back.call('getAvailableMessageCount', { connectionId }), 0);

  headline('Live delivery goes on through B.');
  const last = await add(sender, 5);
  assert.deepEqual(await back.socket.receivedIds(1), [last.messageId]);
  say(`   M <- B: event messagesReceived with ${last.messageId}`);
  await back.call('removeMessages', { connectionId, messageIds: [last.messageId] });

  headline('Gateway B is stopped with SIGTERM, and all servers with it.');
  b.child.kill('SIGTERM');
  const { code } = await b.ended;
  assert.equal(code, 0);
  say('   it ended with exit code 0; nothing was lost, nothing came twice');
}

try {
  await tell();
  process.exit(0);
} catch (error) {
  console.error(`\nThe demonstration failed: ${error.message}`);
  process.exit(1);
}
