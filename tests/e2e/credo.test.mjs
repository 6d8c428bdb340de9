// The loops in which Credo mediators and their wallets use the repository.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { check } from './support/case.mjs';
import { add, addMany, countOf, newConnection, takeIds } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { acknowledge, LiveWallet, pickupV1, pickupV2 } from './support/wallet.mjs';

describe('Credo', () => {
  let server;
  let mediator;
  let sender;
  before(async () => {
    server = await Server.start();
    mediator = await RpcSocket.open(server.url);
    sender = await RpcSocket.open(server.senderUrl);
  });
  after(async () => {
    mediator?.ws.terminate();
    sender?.ws.terminate();
    await server?.stop();
  });

  const openSession = (connectionId, sessionId = 'session-1') =>
    mediator.call('addLiveSession', { connectionId, sessionId });

  for (const count of [0, 1, 10, 37]) {
    check(`v1 batch pickup of ${count} messages gets each once and ends`, async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, count);
      assert.deepEqual(await pickupV1(mediator, connectionId), ids);
      assert.equal(await countOf(mediator, connectionId), 0);
    });
  }

  for (const count of [0, 1, 10, 37]) {
    check(`v2 pickup of ${count} messages gets each once and ends`, async () => {
      const connectionId = newConnection();
      const ids = await addMany(sender, connectionId, count);
      assert.deepEqual(await pickupV2(mediator, connectionId), ids);
      assert.equal(await countOf(mediator, connectionId), 0);
    });
  }

  check('v2 pickup with a live session open gets the backlog once and ends', async () => {
    const connectionId = newConnection();
    const ids = await addMany(sender, connectionId, 25);
    await openSession(connectionId);
    assert.deepEqual(await pickupV2(mediator, connectionId), ids);
    await mediator.call('ping');
    assert.deepEqual(mediator.unread(connectionId), []);
  });

  check('a v2 loop during which messages arrive ends with all of them', async () => {
    const connectionId = newConnection();
    const first = await addMany(sender, connectionId, 30);
    const [received, more] = await Promise.all([
      pickupV2(mediator, connectionId),
      addMany(sender, connectionId, 30),
    ]);
    await pickupV2(mediator, connectionId, received);
    assert.deepEqual(received, [...first, ...more]);
  });

  // Two wallets of one phone, or a wallet that lost its answers, ask twice: nothing is lost.
  check('two v2 loops at once lose nothing', async () => {
    const connectionId = newConnection();
    const ids = await addMany(sender, connectionId, 40);
    const loops = await Promise.all([
      pickupV2(mediator, connectionId),
      pickupV2(sender, connectionId),
    ]);
    assert.deepEqual([...new Set(loops.flat())].sort(), [...ids].sort());
    assert.equal(await countOf(mediator, connectionId), 0);
  });

  check('live mode: a backlog, then a burst, without duplicates and in order', async () => {
    const connectionId = newConnection();
    const backlog = await addMany(sender, connectionId, 15);
    await openSession(connectionId);
    const wallet = new LiveWallet(mediator, connectionId);
    await pickupV2(mediator, connectionId, wallet.received);
    const burst = addMany(sender, connectionId, 60);
    await wallet.takeUntil(75);
    assert.deepEqual(wallet.received, [...backlog, ...(await burst)]);
    assert.equal(await countOf(mediator, connectionId), 0);
  });

  check('live mode on several phones of one mediator at once', async () => {
    const phones = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = await RpcSocket.open(server.url);
        const connectionId = newConnection();
        await socket.call('addLiveSession', { connectionId, sessionId: 'session-1' });
        return { socket, connectionId, wallet: new LiveWallet(socket, connectionId) };
      }),
    );
    const ids = await Promise.all(
      phones.map(async ({ connectionId, wallet }) => {
        const adding = addMany(sender, connectionId, 40);
        await wallet.takeUntil(40);
        return adding;
      }),
    );
    assert.deepEqual(
      phones.map(({ wallet }) => wallet.received),
      ids,
    );
    for (const { socket } of phones) await socket.close();
  });

  // QueueOnly: the mediator hands on what events bring and never takes by itself.
  check('QueueOnly: all deliveries come through events', async () => {
    const connectionId = newConnection();
    await openSession(connectionId);
    const received = [];
    const counts = [];
    for (let n = 0; n < 20; n += 1) {
      const { messageId } = await add(sender, connectionId, n);
      const [id] = await mediator.receivedIds(1);
      assert.equal(id, messageId);
      received.push(id);
      counts.push(await acknowledge(mediator, connectionId, [id]));
    }
    assert.equal(new Set(received).size, 20);
    assert.deepEqual(counts, Array(20).fill(0));
  });

  // QueueAndLiveModeDelivery: after each forwarded message the mediator that holds the session also
  // takes by itself, limit 10, and delivers what it gets.
  check(
    'QueueAndLiveModeDelivery: what events and takes bring together has no duplicate',
    async () => {
      const connectionId = newConnection();
      await openSession(connectionId);
      const received = [];
      const ids = [];
      const takes = [];
      for (let n = 0; n < 40; n += 1) {
        ids.push((await add(mediator, connectionId, n)).messageId);
        takes.push(
          takeIds(mediator, { connectionId, limit: 10 }).then((taken) => received.push(...taken)),
        );
      }
      await Promise.all(takes);
      while (received.length < 40) received.push(...(await mediator.receivedIds(1)));
      await mediator.call('ping');
      assert.deepEqual(mediator.unread(connectionId), []);
      assert.deepEqual([...received].sort(), [...ids].sort());
      assert.equal(await acknowledge(mediator, connectionId, ids), 0);
    },
  );

  check(
    'a phone that reconnects to its mediator: remove and add back to back, then the backlog',
    async () => {
      const connectionId = newConnection();
      await openSession(connectionId, 'session-1');
      const ids = await addMany(sender, connectionId, 5);
      await mediator.receivedIds(5);
      const [removed, added, status] = await Promise.all([
        mediator.call('removeLiveSession', { connectionId }),
        openSession(connectionId, 'session-2'),
        countOf(mediator, connectionId),
      ]);
      assert.deepEqual([removed, added, status], [true, true, 5]);
      assert.deepEqual(await pickupV2(mediator, connectionId), ids);
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await mediator.receivedIds(1), [messageId]);
    },
  );

  check('Credo 0.6 gives receivedAt on add and gets it back', async () => {
    const connectionId = newConnection();
    const receivedAt = new Date(Date.now() - 60_000);
    await add(sender, connectionId, 0, { receivedAt: receivedAt.toISOString() });
    const [message] = await mediator.call('takeFromQueue', { connectionId, limit: 1 });
    assert.deepEqual(new Date(message.receivedAt), receivedAt);
  });
});
