// Push notifications of two gateways on one Redis, and on a Redis Cluster: who is live is known
// everywhere, and a token's window is everybody's.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe } from 'node:test';

import { startServers, stopServers } from './support/backends.mjs';
import { check } from './support/case.mjs';
import { FcmServer, stopPushServers } from './support/push_servers.mjs';
import { Phone, pushCount, pushesSettled } from './support/push_phone.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { until } from './support/wait.mjs';

after(async () => {
  await stopPushServers();
  stopServers();
});

const windowMs = 2500;
const servers = new Map();

// Two gateways that belong together, and a socket on each.
function checkTwo(kind, name, body, { env = {}, timeout = 90_000 } = {}) {
  return check(
    `${name} (${kind === 'two' ? 'cluster' : 'single Redis'})`,
    async (t) => {
      if (!servers.has(kind)) servers.set(kind, startServers(kind, { database: false }));
      const fcm = await FcmServer.start();
      const shared = {
        MPR_BACKEND: 'redis',
        MPR_REDIS_PREFIX: `push-${randomUUID().slice(0, 13)}`,
        MPR_PUSH_WINDOW_MS: String(windowMs),
        ...(await servers.get(kind)),
        ...fcm.env,
        ...env,
      };
      const gateways = [await Server.start({ env: shared }), await Server.start({ env: shared })];
      try {
        const sockets = [];
        for (const { url } of gateways) sockets.push(await RpcSocket.open(url));
        await body({ fcm, gateways, sockets, t });
        fcm.check();
        for (const gateway of gateways) await gateway.stop();
      } finally {
        for (const gateway of gateways) {
          if (Server.running.has(gateway)) await gateway.kill();
        }
        await fcm.stop();
      }
    },
    { timeout },
  );
}

const sum = async (gateways, result) =>
  (await Promise.all(gateways.map((gateway) => pushCount(gateway, 'fcm', result)))).reduce(
    (a, b) => a + b,
  );
const settled = (gateways) => Promise.all(gateways.map(pushesSettled));

for (const kind of ['redis', 'two']) {
  describe(`a burst over two gateways, ${kind}`, () => {
    checkTwo(kind, 'of 100 messages gives two pushes, first and trailing', async (c) => {
      const phone = new Phone('fcm');
      const begun = Date.now();
      await Promise.all(
        Array.from({ length: 100 }, (_, n) => phone.message(c.sockets[n % 2], n)),
      );
      // Only then is it one burst.
      assert.ok(Date.now() - begun < windowMs, `adding took ${Date.now() - begun} ms`);
      const [, second] = await c.fcm.reached(phone.token, 2);
      await settled(c.gateways);
      assert.equal(c.fcm.to(phone.token).length, 2);
      const waited = second.at - begun; // the window began later
      assert.ok(waited >= windowMs - 50, `${waited} ms after the first add`);
    });

    checkTwo(kind, 'gives one push when the phone picked up meanwhile', async (c) => {
      const phone = new Phone('fcm');
      await Promise.all(Array.from({ length: 20 }, (_, n) => phone.message(c.sockets[n % 2], n)));
      await c.fcm.reached(phone.token);
      assert.equal(await phone.pickUp(c.sockets[0]), 20);
      await until(async () => (await sum(c.gateways, 'unneeded')) === 1, 'no trailing push');
      await settled(c.gateways);
      assert.equal(c.fcm.to(phone.token).length, 1);
    });
  });
}

describe('a phone that is live on the other gateway', () => {
  checkTwo('redis', 'and acknowledges gets no push', async ({ fcm, gateways, sockets }) => {
    const phone = new Phone('fcm');
    const { connectionId } = phone;
    const [sender, mediator] = sockets;
    await mediator.call('addLiveSession', { connectionId, sessionId: 's' });
    for (let n = 0; n < 10; n += 1) {
      const id = await phone.message(sender, n);
      await mediator.received();
      await mediator.call('removeMessages', { connectionId, messageIds: [id] });
    }
    await mediator.call('removeLiveSession', { connectionId });
    await settled(gateways);
    assert.equal(fcm.pushes.length, 0);
  });

  checkTwo(
    'redis',
    'and does not acknowledge is woken',
    async ({ fcm, sockets }) => {
      const phone = new Phone('fcm');
      const { connectionId } = phone;
      await sockets[1].call('addLiveSession', { connectionId, sessionId: 's' });
      await phone.message(sockets[0]);
      await fcm.reached(phone.token);
    },
    { env: { MPR_ACK_DEADLINE_MS: '400' } },
  );

  checkTwo('redis', 'that is killed is woken within 20 s', async ({ fcm, gateways, sockets, t }) => {
    const phone = new Phone('fcm');
    const { connectionId } = phone;
    await sockets[1].call('addLiveSession', { connectionId, sessionId: 's' });
    await gateways[1].kill();
    const killed = Date.now();
    await phone.message(sockets[0]);
    const [push] = await fcm.reached(phone.token, 1, 40_000);
    t.diagnostic(`woken ${push.at - killed} ms after the gateway was killed`);
    assert.ok(push.at - killed < 20_000, `${push.at - killed} ms`);
  });
});
