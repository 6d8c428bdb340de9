// Live delivery: who gets a message, what is in flight, and what a vanished socket leaves behind.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { backend } from './support/backends.mjs';
import { check, checkWithServer } from './support/case.mjs';
import { request } from './support/http.mjs';
import { add, addMany, countOf, envelope, newConnection, takeIds } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { frame, TcpPeer } from './support/tcp_peer.mjs';
import { until } from './support/wait.mjs';
import { LiveWallet } from './support/wallet.mjs';

const open = (socket, connectionId, sessionId = 'session-1') =>
  socket.call('addLiveSession', { connectionId, sessionId });
const resume = (socket, connectionId, sessionId) =>
  socket.call('addLiveSession', { connectionId, sessionId, resume: true });
const isLive = (socket, connectionId) => socket.call('getLiveSession', { connectionId });
const acknowledge = (socket, connectionId, messageIds) =>
  socket.call('removeMessages', { connectionId, messageIds });
const addLiveSession = (connectionId, sessionId = 'session-1') => ({
  jsonrpc: '2.0',
  method: 'addLiveSession',
  params: { connectionId, sessionId },
  id: 1,
});
const subscribe = (socket, ...events) => socket.call('rpc.on', events);
const phoneAndSender = async (server) => [
  await RpcSocket.open(server.url),
  await RpcSocket.open(server.senderUrl),
];

describe('live sessions', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(async () => {
    await server?.stop();
  });

  // Runs `body` with as many sockets as it has parameters, and a connection of its own.
  const checkLive = (name, body) =>
    check(name, async () => {
      const sockets = [];
      for (let n = 1; n < body.length; n += 1) {
        // The first at one gateway, all others at the other, if there are two.
        sockets.push(await RpcSocket.open(n === 1 ? server.url : server.senderUrl));
      }
      await body(newConnection(), ...sockets);
      for (const socket of sockets) socket.ws.terminate();
    });

  checkLive(
    'the event frame has its members in this order and no id',
    async (connectionId, phone, sender) => {
      await open(phone, connectionId);
      const payload = '{ "protected":"eyJ","ciphertext" : "x\\u00e9" }';
      const { json } = await sender.ask(
        `{"jsonrpc":"2.0","id":"a","method":"addMessage","params":{"connectionId":"${
          connectionId
        }","recipientDids":["did:key:z6MkA"],"payload":${payload}}}`,
      );
      const { messageId, receivedAt } = json.result;
      const { text, isBinary } = await phone.events.next();
      assert.equal(
        text,
        `{"jsonrpc":"2.0","method":"messagesReceived","params":{"connectionId":"${
          connectionId
        }","messages":[{"id":"${messageId}","receivedAt":"${
          receivedAt
        }","encryptedMessage":${payload}}],"id":""}}`,
      );
      assert.equal(isBinary, false);
    },
  );

  checkLive(
    'the holder gets events without rpc.on, and nobody else does',
    async (connectionId, phone, sender, bystander) => {
      await subscribe(bystander, 'messagesReceived');
      await open(phone, connectionId);
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await phone.receivedIds(1), [messageId]);
      await bystander.call('ping');
      assert.deepEqual(bystander.unread(connectionId), []);
      assert.deepEqual(sender.unread(connectionId), []);
    },
  );

  checkLive('sender and receiver may be one socket', async (connectionId, both) => {
    await open(both, connectionId);
    const ids = await addMany(both, connectionId, 20);
    assert.deepEqual(await both.receivedIds(20), ids);
  });

  checkLive('opening a session delivers nothing by itself', async (connectionId, phone, sender) => {
    const [waiting] = await addMany(sender, connectionId, 1);
    await open(phone, connectionId);
    await phone.call('ping');
    assert.deepEqual(phone.unread(connectionId), []);
    assert.equal(await countOf(phone, connectionId), 1);
    const [next] = await addMany(sender, connectionId, 1);
    const ids = await phone.receivedIds(1);
    assert.ok([next, `${waiting},${next}`].includes(ids.join(',')), ids.join(','));
  });

  checkLive(
    'events of one connection come in the order in which they were accepted',
    async (connectionId, phone, sender) => {
      await open(phone, connectionId);
      const ids = await addMany(sender, connectionId, 500);
      assert.deepEqual(await phone.receivedIds(500), ids);
    },
  );

  checkLive(
    // At the gateway that holds the session: another one does not know what is in flight.
    'what is in flight is left out of count, take and status until it is acknowledged',
    async (connectionId, phone, sender) => {
      await open(phone, connectionId);
      const ids = await addMany(sender, connectionId, 5);
      await phone.receivedIds(5);
      const status = async () => {
        const { messageCount, inFlight } = await phone.call('getQueueStatus', { connectionId });
        return {
          count: await countOf(phone, connectionId),
          messageCount,
          inFlight,
          take: await takeIds(phone, { connectionId }),
        };
      };
      const inFlight = await status();
      await acknowledge(phone, connectionId, ids.slice(0, 2));
      const after = await status();
      assert.deepEqual(
        [inFlight, after],
        [
          { count: 0, messageCount: 0, inFlight: 5, take: [] },
          { count: 0, messageCount: 0, inFlight: 3, take: [] },
        ],
      );
      await phone.call('removeLiveSession', { connectionId });
      assert.deepEqual(await takeIds(phone, { connectionId }), ids.slice(2));
      assert.equal(await countOf(phone, connectionId), 3);
    },
  );

  checkLive(
    'what the holder takes by itself is in flight as well',
    async (connectionId, phone, sender) => {
      const ids = await addMany(sender, connectionId, 12);
      await open(phone, connectionId);
      assert.deepEqual(await takeIds(phone, { connectionId, limit: 10 }), ids.slice(0, 10));
      assert.equal(await countOf(phone, connectionId), 2);
      assert.deepEqual(await takeIds(phone, { connectionId, limit: 10 }), ids.slice(10));
      assert.equal(await countOf(phone, connectionId), 0);
      await acknowledge(phone, connectionId, ids.slice(0, 10));
      await phone.call('removeLiveSession', { connectionId });
      assert.deepEqual(await takeIds(phone, { connectionId }), ids.slice(10));
    },
  );

  checkLive(
    'the newest session wins: what was in flight is pending again',
    async (connectionId, former, newer, sender) => {
      await open(former, connectionId, 'session-1');
      const first = await addMany(sender, connectionId, 3);
      await former.receivedIds(3);
      const before = await countOf(former, connectionId);
      await open(newer, connectionId, 'session-2');
      const counted = await countOf(newer, connectionId);
      assert.deepEqual([before, counted], [0, 3]);
      const [last] = await addMany(sender, connectionId, 1);
      const delivered = [];
      while (!delivered.includes(last)) delivered.push(...(await newer.receivedIds(1)));
      const all = [...first, last];
      assert.deepEqual(delivered, all.slice(all.length - delivered.length));
      await former.call('ping');
      assert.deepEqual(former.unread(connectionId), []);
    },
  );

  checkLive(
    'the former holder hears liveSessionReplaced if it listens',
    async (connectionId, former, newer) => {
      await subscribe(former, 'liveSessionReplaced');
      await open(former, connectionId, 'session-1');
      await open(newer, connectionId, 'session-2');
      const { json } = await former.events.next();
      assert.equal(json.method, 'liveSessionReplaced');
      assert.equal(json.params.connectionId, connectionId);
      assert.ok(!('id' in json));
    },
  );

  checkLive(
    'a session that resumes yields to one with another id, and only to that',
    async (connectionId, newer, former, sender) => {
      await open(former, connectionId, 'session-1');
      await open(newer, connectionId, 'session-2');
      assert.equal(await resume(former, connectionId, 'session-1'), false);
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await newer.receivedIds(1), [messageId]);
      await acknowledge(newer, connectionId, [messageId]);

      assert.equal(await resume(former, connectionId, 'session-2'), true);
      const moved = await add(sender, connectionId);
      assert.deepEqual(await former.receivedIds(1), [moved.messageId]);
      assert.equal(await former.call('removeLiveSession', { connectionId }), true);
      assert.equal(await resume(newer, connectionId, 'session-1'), true);
    },
  );

  checkLive(
    'a late removeLiveSession of the former holder changes nothing',
    async (connectionId, former, newer, sender) => {
      await open(former, connectionId, 'session-1');
      await open(newer, connectionId, 'session-2');
      assert.equal(await former.call('removeLiveSession', { connectionId }), false);
      assert.equal(await isLive(sender, connectionId), true);
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await newer.receivedIds(1), [messageId]);
    },
  );

  checkLive(
    'nobody removes the session of another socket',
    async (connectionId, phone, stranger) => {
      await open(phone, connectionId, 'session-1');
      assert.equal(await stranger.call('removeLiveSession', { connectionId }), false);
      assert.equal(
        await stranger.call('removeLiveSession', { connectionId, sessionId: 'session-1' }),
        false,
      );
      assert.equal(await isLive(stranger, connectionId), true);
      assert.equal(
        await phone.call('removeLiveSession', { connectionId, sessionId: 'another' }),
        false,
      );
      assert.equal(await isLive(stranger, connectionId), true);
      assert.equal(
        await phone.call('removeLiveSession', { connectionId, sessionId: 'session-1' }),
        true,
      );
      assert.equal(await isLive(stranger, connectionId), false);
      assert.equal(await phone.call('removeLiveSession', { connectionId }), false);
    },
  );

  checkLive(
    'remove and add back to back leave the session open',
    async (connectionId, phone, sender) => {
      await open(phone, connectionId, 'session-0');
      for (let round = 1; round <= 50; round += 1) {
        const [removed, added] = await Promise.all([
          phone.call('removeLiveSession', { connectionId }),
          open(phone, connectionId, `session-${round}`),
        ]);
        assert.deepEqual([removed, added], [true, true]);
      }
      assert.equal(await isLive(sender, connectionId), true);
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await phone.receivedIds(1), [messageId]);
    },
  );

  checkLive(
    'another socket that claims the same socket_id gets no events',
    async (connectionId, sender) => {
      const phone = await RpcSocket.open(`${server.url}/?socket_id=phone`);
      await open(phone, connectionId);
      const thief = await RpcSocket.open(`${server.senderUrl}/?socket_id=phone`);
      await subscribe(thief, 'messagesReceived');
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await phone.receivedIds(1), [messageId]);
      await thief.call('ping');
      assert.deepEqual(thief.unread(connectionId), []);
      assert.equal(await thief.call('removeLiveSession', { connectionId }), false);
      phone.ws.terminate();
      thief.ws.terminate();
    },
  );

  checkLive('one socket holds the sessions of many phones', async (_, mediator, sender) => {
    // Each first session asks the database, and the one of the tests takes milliseconds.
    const phones = backend === 'embedded' ? 300 : 100;
    const connections = Array.from({ length: phones }, () => newConnection());
    await Promise.all(
      connections.map((connectionId, n) => open(mediator, connectionId, `session-${n}`)),
    );
    const receipts = await Promise.all(
      connections.map((connectionId) => add(sender, connectionId)),
    );
    const expected = new Map(connections.map((id, n) => [id, receipts[n].messageId]));
    for (let n = 0; n < connections.length; n += 1) {
      const { connectionId, messages } = await mediator.received();
      assert.deepEqual(
        messages.map((message) => message.id),
        [expected.get(connectionId)],
      );
      expected.delete(connectionId);
    }
    assert.equal(expected.size, 0);
  });

  checkLive(
    'a message taken away before it was delivered is not delivered',
    async (connectionId, phone, sender) => {
      const gone = await addMany(sender, connectionId, 3);
      await acknowledge(sender, connectionId, gone);
      await open(phone, connectionId);
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await phone.receivedIds(1), [messageId]);
    },
  );

  for (const round of [1, 2, 3]) {
    checkLive(
      `a burst of 60 reaches a live wallet without a duplicate, round ${round}`,
      async (connectionId, mediator, sender) => {
        await open(mediator, connectionId);
        const wallet = new LiveWallet(mediator, connectionId);
        const adding = addMany(sender, connectionId, 60);
        await wallet.takeUntil(60);
        assert.deepEqual(wallet.received, await adding);
        assert.equal(await countOf(mediator, connectionId), 0);
        assert.equal((await mediator.call('getQueueStatus', { connectionId })).inFlight, 0);
      },
    );
  }
});

checkWithServer(
  'past the acknowledgement deadline a message is visible again',
  { env: { MPR_ACK_DEADLINE_MS: '300' } },
  async (server) => {
    const [phone, sender] = await phoneAndSender(server);
    const connectionId = newConnection();
    await open(phone, connectionId);
    const { messageId } = await add(sender, connectionId);
    await phone.receivedIds(1);
    await until(async () => (await countOf(sender, connectionId)) === 1, 'the message is visible');
    assert.deepEqual(await takeIds(sender, { connectionId }), [messageId]);
    assert.equal(await isLive(sender, connectionId), true);
    await acknowledge(phone, connectionId, [messageId]);
    assert.equal(await countOf(phone, connectionId), 0);
    await phone.close();
    await sender.close();
  },
);

checkWithServer(
  'a session takes no more than its bound in flight, and goes on when there is room',
  { env: { MPR_MAX_IN_FLIGHT: '10' } },
  async (server) => {
    const [phone, sender] = await phoneAndSender(server);
    const connectionId = newConnection();
    await open(phone, connectionId);
    const ids = await addMany(sender, connectionId, 35);
    const received = await phone.receivedIds(10);
    await phone.call('ping');
    assert.deepEqual(phone.unread(connectionId), []);
    assert.equal(await countOf(phone, connectionId), 25);
    await acknowledge(phone, connectionId, received);
    while (received.length < 35) {
      const batch = await phone.receivedIds(Math.min(10, 35 - received.length));
      received.push(...batch);
      await acknowledge(phone, connectionId, batch);
    }
    assert.deepEqual(received, ids);
    await phone.close();
    await sender.close();
  },
);

checkWithServer(
  'a slow reader hurts only itself, and gets what it missed',
  { env: { MPR_OUTBOUND_BYTES: '256KiB', MPR_MAX_IN_FLIGHT: '100000' } },
  async (server) => {
    const connectionId = newConnection();
    const slow = await TcpPeer.upgraded(server.ports.ws);
    slow.write(frame(JSON.stringify(addLiveSession(connectionId))));
    assert.equal(JSON.parse(await slow.text()).result, true);
    slow.socket.pause();
    const [phone, sender] = await phoneAndSender(server);
    const payload = envelope(0, 128 * 1024);
    const ids = await addMany(sender, connectionId, 200, { payload });

    const other = newConnection();
    await open(phone, other);
    const others = await addMany(sender, other, 50);
    assert.deepEqual(await phone.receivedIds(50), others);

    const pending = await countOf(phone, connectionId);
    assert.ok(pending > 0 && pending < 200, `pending behind the slow reader: ${pending}`);
    slow.socket.resume();
    const received = [];
    while (received.length < 200) {
      const { params } = JSON.parse(await slow.text());
      received.push(...params.messages.map((message) => message.id));
    }
    assert.deepEqual(received, ids);
    slow.destroy();
    await phone.close();
    await sender.close();
  },
);

checkWithServer(
  'a reader that stays away too long is closed, and its messages stay',
  { env: { MPR_OUTBOUND_BYTES: '256KiB', MPR_SLOW_READER_TIMEOUT_MS: '500' } },
  async (server) => {
    const connectionId = newConnection();
    const sender = await RpcSocket.open(server.senderUrl);
    const away = await TcpPeer.upgraded(server.ports.ws);
    away.write(frame(JSON.stringify(addLiveSession(connectionId))));
    assert.equal(JSON.parse(await away.text()).result, true);
    away.socket.pause();
    const ids = await addMany(sender, connectionId, 200, { payload: envelope(0, 128 * 1024) });
    await until(
      async () => /^mpr_sockets_open\S* 1$/m.test((await request(`${server.opsUrl}/metrics`)).body),
      'only the sender is connected',
    );
    assert.equal(await countOf(sender, connectionId), ids.length);
    away.destroy();
    await sender.close();
  },
);

describe('a session whose socket vanished', () => {
  checkWithServer(
    'ends with its grace; its messages are visible',
    { env: { MPR_ORPHAN_GRACE_MS: '400' } },
    async (server) => {
      const [phone, sender] = await phoneAndSender(server);
      const connectionId = newConnection();
      await open(phone, connectionId);
      const ids = await addMany(sender, connectionId, 3);
      await phone.receivedIds(3);
      phone.ws.terminate();
      await until(async () => !(await isLive(sender, connectionId)), 'the session ended');
      assert.equal(await countOf(sender, connectionId), 3);
      assert.deepEqual(await takeIds(sender, { connectionId }), ids);
      await sender.close();
    },
  );

  checkWithServer('ends at once when it was removed before', { env: {} }, async (server) => {
    const [phone, sender] = await phoneAndSender(server);
    const connectionId = newConnection();
    await open(phone, connectionId);
    await phone.call('removeLiveSession', { connectionId });
    await phone.close();
    assert.equal(await isLive(sender, connectionId), false);
    await sender.close();
  });

  checkWithServer(
    'is taken on by the client that comes back, subscribes and acknowledges',
    {},
    async (server) => {
      const [phone, sender] = await phoneAndSender(server);
      const connectionId = newConnection();
      await open(phone, connectionId);
      phone.ws.terminate();
      const back = await RpcSocket.open(server.url);
      await subscribe(back, 'messagesReceived');
      assert.equal(await isLive(sender, connectionId), true);

      const { messageId } = await add(sender, connectionId, 1);
      assert.deepEqual(await back.receivedIds(1), [messageId]);
      await acknowledge(back, connectionId, [messageId]);
      assert.equal(await countOf(back, connectionId), 0);

      // From here on it holds the session: only it gets events and only it can remove it.
      const bystander = await RpcSocket.open(server.senderUrl);
      await subscribe(bystander, 'messagesReceived');
      const next = await add(sender, connectionId, 2);
      assert.deepEqual(await back.receivedIds(1), [next.messageId]);
      await bystander.call('ping');
      assert.deepEqual(bystander.unread(connectionId), []);
      assert.equal(await countOf(back, connectionId), 0);
      assert.equal(await bystander.call('removeLiveSession', { connectionId }), false);
      assert.equal(await back.call('removeLiveSession', { connectionId }), true);
      for (const socket of [back, bystander, sender]) await socket.close();
    },
  );

  checkWithServer('sends its events to every subscribed socket meanwhile', {}, async (server) => {
    const sockets = [];
    for (const url of [server.url, server.senderUrl, server.url, server.senderUrl]) {
      sockets.push(await RpcSocket.open(url));
    }
    const [phone, sender, one, two] = sockets;
    const connectionId = newConnection();
    await open(phone, connectionId);
    phone.ws.terminate();
    await until(
      async () =>
        /^mpr_live_sessions_orphaned\S* 1$/m.test((await request(`${server.opsUrl}/metrics`)).body),
      'the session is orphaned',
    );
    await subscribe(one, 'messagesReceived');
    await subscribe(two, 'messagesReceived');
    const { messageId } = await add(sender, connectionId);
    assert.deepEqual(
      [await one.receivedIds(1), await two.receivedIds(1)],
      [[messageId], [messageId]],
    );
    await sender.call('ping');
    assert.deepEqual(sender.unread(connectionId), []);
    for (const socket of [sender, one, two]) await socket.close();
  });

  // In the order of a client that comes back: what waited, the subscription, the session.
  checkWithServer(
    'loses nothing to the others when its mediator acknowledges before it subscribes',
    {},
    async (server) => {
      const [phone, other] = await phoneAndSender(server);
      const connectionId = newConnection();
      await subscribe(other, 'messagesReceived');
      await open(phone, connectionId, 'session-1');
      const first = await add(other, connectionId, 1);
      assert.deepEqual(await phone.receivedIds(1), [first.messageId]);
      phone.ws.terminate();
      assert.deepEqual(await other.receivedIds(1), [first.messageId]);
      const meanwhile = await add(other, connectionId, 2);
      assert.deepEqual(await other.receivedIds(1), [meanwhile.messageId]);
      const back = await RpcSocket.open(server.url);
      await acknowledge(back, connectionId, [first.messageId]);
      await subscribe(back, 'messagesReceived');
      assert.deepEqual(await back.receivedIds(1), [meanwhile.messageId]);
      assert.equal(await resume(back, connectionId, 'session-1'), true);
      await acknowledge(back, connectionId, [meanwhile.messageId]);
      assert.equal(await countOf(back, connectionId), 0);
      for (const socket of [other, back]) await socket.close();
    },
  );

  checkWithServer('is not replaced by an older one that resumes', {}, async (server) => {
    const [former, sender] = await phoneAndSender(server);
    const phone = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    await open(former, connectionId, 'session-1');
    await open(phone, connectionId, 'session-2');
    phone.ws.terminate();
    assert.equal(await resume(former, connectionId, 'session-1'), false);
    const back = await RpcSocket.open(server.url);
    assert.equal(await resume(back, connectionId, 'session-2'), true);
    const { messageId } = await add(sender, connectionId);
    assert.deepEqual(await back.receivedIds(1), [messageId]);
    for (const socket of [former, sender, back]) await socket.close();
  });

  checkWithServer(
    'is replaced by an addLiveSession of the client that came back',
    {},
    async (server) => {
      const [phone, sender] = await phoneAndSender(server);
      const connectionId = newConnection();
      await open(phone, connectionId, 'session-1');
      phone.ws.terminate();
      const back = await RpcSocket.open(server.url);
      await open(back, connectionId, 'session-2');
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await back.receivedIds(1), [messageId]);
      await acknowledge(back, connectionId, [messageId]);
      assert.equal(await countOf(back, connectionId), 0);
      await back.close();
      await sender.close();
    },
  );

  for (const [how, end] of [
    ['SIGTERM', (server) => server.stop()],
    ['kill -9', (server) => server.kill()],
  ]) {
    checkWithServer(`is kept over a restart by ${how}`, {}, async (server) => {
      const [phone, gone] = [await RpcSocket.open(server.url), await RpcSocket.open(server.url)];
      const [connectionId, removed] = [newConnection(), newConnection()];
      await open(phone, connectionId);
      await open(gone, removed);
      await gone.call('removeLiveSession', { connectionId: removed });
      await end(server);
      await server.relaunch();

      const [back, sender] = await phoneAndSender(server);
      // The store on one disk knows at once who comes back. Of a gateway that left a cluster nobody
      // knows that; its sessions do not count until somebody acknowledges.
      if (backend === 'embedded') assert.equal(await isLive(sender, connectionId), true);
      assert.equal(await isLive(sender, removed), false);
      await subscribe(back, 'messagesReceived');
      const { messageId } = await add(sender, connectionId);
      assert.deepEqual(await back.receivedIds(1), [messageId]);
      await acknowledge(back, connectionId, [messageId]);
      assert.equal(await countOf(back, connectionId), 0);
      await until(() => isLive(sender, connectionId), 'the session is taken on');
      const next = await add(sender, connectionId);
      assert.deepEqual(await back.receivedIds(1), [next.messageId]);
      assert.equal(await countOf(back, connectionId), 0);
      await back.close();
      await sender.close();
    });
  }

  checkWithServer(
    'after kill -9 hides nothing, and ends when nobody comes back',
    { env: { MPR_ORPHAN_GRACE_MS: '1000' } },
    async (server) => {
      const phone = await RpcSocket.open(server.url);
      const connectionId = newConnection();
      await open(phone, connectionId);
      const ids = await addMany(phone, connectionId, 3);
      await phone.receivedIds(3);
      await server.kill();
      await server.relaunch();
      const socket = await RpcSocket.open(server.url);
      assert.equal(await countOf(socket, connectionId), 3);
      assert.deepEqual(await takeIds(socket, { connectionId }), ids);
      // Of a gateway among others it takes until its heartbeats are missed.
      const soon = backend === 'embedded' ? 5000 : 20_000;
      await until(async () => !(await isLive(socket, connectionId)), 'the session ended', soon);
      await socket.close();
    },
  );
});

describe('a socket that half-opened', () => {
  checkWithServer(
    'is noticed when it answers no ping, and its session ends',
    { env: { MPR_PING_INTERVAL_MS: '500', MPR_DEAD_AFTER_MS: '6000', MPR_ORPHAN_GRACE_MS: '200' } },
    async (server) => {
      const connectionId = newConnection();
      const dead = await TcpPeer.upgraded(server.ports.ws);
      const alive = await RpcSocket.open(server.senderUrl);
      dead.write(frame(JSON.stringify(addLiveSession(connectionId))));
      assert.equal(JSON.parse(await dead.text()).result, true);
      await dead.gone(15_000);
      await until(async () => !(await isLive(alive, connectionId)), 'the session ended');
      assert.equal(await alive.call('ping'), 'pong');
      await alive.close();
    },
  );
});
