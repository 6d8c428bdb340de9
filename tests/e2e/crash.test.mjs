// kill -9 under load, through the real sockets. After each crash: every answered message is there
// once and in order, every answered acknowledgement holds, and repeating what was not answered
// makes no duplicate. MPR_CRASH_ROUNDS sets the number of rounds, MPR_CRASH_SEED repeats a run.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { check } from './support/case.mjs';
import { envelope, newConnection } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';

const rounds = Number(process.env.MPR_CRASH_ROUNDS ?? 25);
const firstSeed = Number(process.env.MPR_CRASH_SEED ?? Date.now() % 2 ** 31);

function randomNumbers(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

// What the clients know about one connection.
class Queue {
  constructor() {
    this.connectionId = newConnection('crash');
    this.messages = new Map(); // messageId -> state, in the order in which they were sent
  }

  with(...states) {
    return [...this.messages].filter(([, state]) => states.includes(state)).map(([id]) => id);
  }
}

// States: sent (not answered), answered, removing (acknowledgement not answered), removed.
class Load {
  constructor(server, queues, random) {
    Object.assign(this, { server, queues, random });
    this.answers = 0;
    this.over = false;
  }

  async run() {
    const crashAfter = 200 + this.random(1500);
    this.crash = new Promise((resolve) => {
      this.reach = resolve;
    });
    this.crashAfter = crashAfter;
    const writers = this.queues.flatMap((queue, n) => [
      this.write(queue, n),
      this.acknowledge(queue),
    ]);
    await this.crash;
    this.over = true;
    await this.server.kill();
    await Promise.all(writers);
  }

  answered() {
    this.answers += 1;
    if (this.answers === this.crashAfter) this.reach();
  }

  // A window of adds on one socket, each with an id of its own.
  async write(queue, n) {
    const socket = await RpcSocket.open(this.server.senderUrl);
    const window = 1 + this.random(64);
    const open = new Set();
    for (let i = queue.messages.size; !this.over; i += 1) {
      const messageId = `message-${n}-${i}`;
      queue.messages.set(messageId, 'sent');
      const call = this.add(socket, queue, messageId, i).finally(() => open.delete(call));
      open.add(call);
      if (open.size >= window) await Promise.race(open);
    }
    await Promise.all(open);
  }

  async add(socket, queue, messageId, i) {
    try {
      await socket.call('addMessage', {
        connectionId: queue.connectionId,
        messageId,
        recipientDids: ['did:key:z6MkA'],
        payload: envelope(i, this.random(3000)),
      });
    } catch {
      return; // not answered, or answered with an error: the message may be there or not
    }
    queue.messages.set(messageId, 'answered');
    this.answered();
  }

  // Acknowledges some of what was answered, now and then by taking with deleteMessages.
  async acknowledge(queue) {
    const socket = await RpcSocket.open(this.server.url);
    while (!this.over) {
      const chosen = queue.with('answered').filter(() => this.random(3) === 0);
      for (const id of chosen) queue.messages.set(id, 'removing');
      try {
        await socket.call('removeMessages', {
          connectionId: queue.connectionId,
          messageIds: chosen,
        });
      } catch {
        return;
      }
      for (const id of chosen) queue.messages.set(id, 'removed');
      this.answered();
    }
  }
}

async function expectTruth(socket, queue, where) {
  const messages = await socket.call('takeFromQueue', { connectionId: queue.connectionId });
  const stored = messages.map((message) => message.id);
  const count = await socket.call('getAvailableMessageCount', { connectionId: queue.connectionId });
  assert.equal(count, stored.length, `${where}: count`);
  const answered = queue.with('answered');
  const present = new Set(stored);
  assert.deepEqual(
    answered.filter((id) => !present.has(id)),
    [],
    `${where}: answered, but lost`,
  );
  assert.deepEqual(
    queue.with('removed').filter((id) => present.has(id)),
    [],
    `${where}: acknowledged, but back`,
  );
  const order = [...queue.messages.keys()].filter((id) => present.has(id));
  assert.deepEqual(stored, order, `${where}: order, or a message nobody sent`);
  for (const { id, encryptedMessage } of messages) {
    assert.equal(encryptedMessage.n, Number(id.split('-')[2]), `${where}: the payload of ${id}`);
  }
}

// The sender repeats what it has no answer for, with the same ids.
async function repeatUnanswered(socket, queue) {
  const before = await socket.call('takeFromQueue', { connectionId: queue.connectionId });
  const there = new Set(before.map((message) => message.id));
  for (const messageId of [...queue.with('sent'), ...queue.with('answered').slice(-20)]) {
    const receipt = await socket.call('addMessage', {
      connectionId: queue.connectionId,
      messageId,
      recipientDids: ['did:key:z6MkA'],
      payload: envelope(Number(messageId.split('-')[2])),
    });
    assert.equal(receipt.messageId, messageId);
    there.add(messageId);
  }
  const after = await socket.call('takeFromQueue', { connectionId: queue.connectionId });
  assert.deepEqual(
    after.map((message) => message.id).sort(),
    [...there].sort(),
    'a repeated add made a duplicate',
  );
}

check(
  `kill -9 under load, ${rounds} rounds: nothing answered is lost or comes back`,
  async (t) => {
    t.diagnostic(`MPR_CRASH_SEED=${firstSeed}`);
    const server = await Server.start({ env: { MPR_SEGMENT_BYTES: '18MiB' } });
    for (let round = 0; round < rounds; round += 1) {
      const random = randomNumbers(firstSeed + round);
      const queues = Array.from({ length: 4 }, () => new Queue());
      await new Load(server, queues, random).run();
      await server.relaunch();
      const socket = await RpcSocket.open(server.url);
      for (const [n, queue] of queues.entries()) {
        const where = `round ${round}, seed ${firstSeed + round}, queue ${n}`;
        await expectTruth(socket, queue, where);
        await repeatUnanswered(socket, queue);
        // Half of the queues stay, so that later rounds recover old messages too.
        if (n % 2) await socket.call('removeAllMessages', { connectionId: queue.connectionId });
      }
      await socket.close();
    }
    await server.stop();
  },
  { timeout: 60_000 + rounds * 10_000 },
);

check('kill -9 twice in a row, the second right after the start', async () => {
  const server = await Server.start();
  const socket = await RpcSocket.open(server.url);
  const connectionId = newConnection();
  const receipts = await Promise.all(
    Array.from({ length: 300 }, (_, n) =>
      socket.call('addMessage', { connectionId, recipientDids: [], payload: envelope(n, 500) }),
    ),
  );
  for (let round = 0; round < 3; round += 1) {
    const killed = server.gateways.map(({ child }) => child.pid);
    await server.kill();
    // The name under which the MongoDB driver shares its counters.
    for (const pid of killed) assert.ok(!existsSync(`/dev/shm/mongoc-${pid}`), 'shared memory stays');
    await server.relaunch();
  }
  const after = await RpcSocket.open(server.url);
  assert.deepEqual(
    (await after.call('takeFromQueue', { connectionId })).map(({ id }) => id),
    receipts.map(({ messageId }) => messageId),
  );
  await after.close();
  await server.stop();
});
