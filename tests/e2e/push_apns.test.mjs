// Push notifications through APNs, against a server that checks as Apple does.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe } from 'node:test';

import { check } from './support/case.mjs';
import { ApnsServer, stopPushServers } from './support/push_servers.mjs';
import { Phone, pushCount } from './support/push_phone.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { until } from './support/wait.mjs';

after(stopPushServers);

function checkApns(name, body, { env = {} } = {}) {
  return check(name, async () => {
    const apns = await ApnsServer.start();
    const server = await Server.start({
      env: { MPR_PUSH_WINDOW_MS: '500', ...apns.env, ...env },
    });
    try {
      const socket = await RpcSocket.open(server.url);
      await body({ apns, server, socket });
      apns.check();
      await server.stop();
    } finally {
      if (Server.running.has(server)) await server.kill();
      await apns.stop();
    }
  });
}

describe('what APNs is sent', () => {
  checkApns('an alert', async ({ apns, socket }) => {
    const phone = new Phone('apns');
    const id = await phone.message(socket);
    const [push] = await apns.reached(phone.token);
    assert.equal(push.headers['apns-push-type'], 'alert');
    assert.deepEqual(push.payload, {
      aps: {
        alert: { title: 'New message', body: 'Open the app to receive it' },
        'content-available': 1,
      },
      '@type': 'https://didcomm.org/push-notifications-apns',
      message_id: id,
    });
  });

  checkApns(
    'a wake-up in the background with NOTIFICATION_DATA_ONLY',
    async ({ apns, socket }) => {
      const phone = new Phone('apns');
      const id = await phone.message(socket);
      const [push] = await apns.reached(phone.token);
      assert.equal(push.headers['apns-push-type'], 'background');
      assert.deepEqual(push.payload, {
        aps: { 'content-available': 1 },
        '@type': 'https://didcomm.org/push-notifications-apns',
        message_id: id,
      });
    },
    { env: { NOTIFICATION_DATA_ONLY: 'true' } },
  );

  checkApns('many over few connections, under one provider token', async ({ apns, socket }) => {
    const phones = Array.from({ length: 200 }, () => new Phone('apns'));
    await Promise.all(phones.map((phone) => phone.message(socket)));
    for (const phone of phones) await apns.reached(phone.token);
    assert.ok(apns.sessionsOpened <= 4, `${apns.sessionsOpened} connections`);
    assert.equal(apns.providerTokens.size, 1);
  });

  checkApns('nothing that is no device token, which would be a path', async (c) => {
    const phone = new Phone('apns');
    phone.token = '../../other?x=1';
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'apns', 'token_dead')) === 1, 'counted');
    assert.equal(c.apns.pushes.length, 0);
  });
});

describe('the provider token', () => {
  checkApns('is renewed once when Apple calls it expired', async ({ apns, socket }) => {
    let refused;
    apns.answers = (push) => {
      refused ??= push.jwt;
      return push.jwt === refused ? ApnsServer.error(403, 'ExpiredProviderToken') : { status: 200 };
    };
    const phones = Array.from({ length: 20 }, () => new Phone('apns'));
    await Promise.all(phones.map((phone) => phone.message(socket)));
    for (const phone of phones) await apns.reached(phone.token, 2);
    assert.equal(apns.providerTokens.size, 2);
  });

  checkApns('is not renewed again and again', async ({ apns, server, socket }) => {
    apns.answers = () => ApnsServer.error(403, 'ExpiredProviderToken');
    const phones = Array.from({ length: 5 }, () => new Phone('apns'));
    for (const phone of phones) await phone.message(socket);
    await until(
      async () => (await pushCount(server, 'apns', 'misconfigured')) === 5,
      'they are counted',
    );
    assert.equal(apns.providerTokens.size, 2);
  });

  checkApns('that is wrong is a loud error of the configuration', async (c) => {
    c.apns.answers = () => ApnsServer.error(403, 'InvalidProviderToken');
    await new Phone('apns').message(c.socket);
    await until(async () => (await pushCount(c.server, 'apns', 'misconfigured')) === 1, 'counted');
    assert.match(c.server.log, /error.*check its configuration.*403 InvalidProviderToken/);
  });

  checkApns('is kept when Apple says that it is renewed too often', async (c) => {
    c.apns.answers = (push, attempt) =>
      attempt === 1
        ? ApnsServer.error(429, 'TooManyProviderTokenUpdates', { headers: { 'retry-after': '1' } })
        : { status: 200 };
    const phone = new Phone('apns');
    await phone.message(c.socket);
    await c.apns.reached(phone.token, 2);
    assert.equal(c.apns.providerTokens.size, 1);
  });
});

describe('a dead token', () => {
  for (const [status, reason, body] of [
    [400, 'BadDeviceToken'],
    [400, 'DeviceTokenNotForTopic'],
    [410, 'Unregistered', () => ({ timestamp: Date.now() + 1000 })],
    [410, 'ExpiredToken', () => ({})],
  ]) {
    checkApns(`${status} ${reason} is announced and not tried again`, async (c) => {
      await c.socket.call('rpc.on', ['pushTokenInvalid']);
      c.apns.answers = () => ApnsServer.error(status, reason, { body: body?.() });
      const phone = new Phone('apns');
      await phone.message(c.socket);
      const { json } = await c.socket.events.next();
      assert.deepEqual(json.params, {
        connectionId: phone.connectionId,
        type: 'apns',
        tokenSha256: createHash('sha256').update(phone.token).digest('hex'),
        reason: `${status} ${reason}`,
      });
      await phone.message(c.socket);
      await until(async () => (await pushCount(c.server, 'apns', 'known_dead')) === 1, 'not tried');
      assert.equal(c.apns.to(phone.token).length, 1);
    });
  }

  checkApns('410 about a time before the token was given again is ignored', async (c) => {
    c.apns.answers = (push, attempt) =>
      attempt === 1
        ? ApnsServer.error(410, 'Unregistered', { body: { timestamp: Date.now() - 3_600_000 } })
        : { status: 200 };
    const phone = new Phone('apns');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'apns', 'doubted')) === 1, 'doubted');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'apns', 'accepted')) === 1, 'tried again');
    assert.equal(await pushCount(c.server, 'apns', 'token_dead'), 0);
  });

  checkApns('410 about the same earlier time again is believed', async (c) => {
    const timestamp = Date.now() - 3_600_000;
    c.apns.answers = () => ApnsServer.error(410, 'Unregistered', { body: { timestamp } });
    const phone = new Phone('apns');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'apns', 'doubted')) === 1, 'doubted');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'apns', 'token_dead')) === 1, 'believed');
  });
});

describe('other refusals', () => {
  checkApns('413 is not repeated', async ({ apns, server, socket }) => {
    apns.answers = () => ApnsServer.error(413, 'PayloadTooLarge');
    const phone = new Phone('apns');
    await phone.message(socket);
    await until(async () => (await pushCount(server, 'apns', 'rejected')) === 1, 'counted');
    assert.equal(apns.to(phone.token).length, 1);
  });

  for (const [status, reason] of [
    [429, 'TooManyRequests'],
    [500, 'InternalServerError'],
    [503, 'ServiceUnavailable'],
  ]) {
    checkApns(`${status} ${reason} is tried again when Retry-After says so`, async (c) => {
      c.apns.answers = (push, attempt) =>
        attempt === 1
          ? ApnsServer.error(status, reason, { headers: { 'retry-after': '1' } })
          : { status: 200 };
      const phone = new Phone('apns');
      await phone.message(c.socket);
      const [first, second] = await c.apns.reached(phone.token, 2);
      assert.ok(second.at - first.at >= 1000 && second.at - first.at < 4000);
    });
  }

  checkApns('GOAWAY in mid-stream loses nothing', async ({ apns, server, socket }) => {
    let answered = 0;
    apns.answers = () => {
      answered += 1;
      return answered === 10 ? 'goaway' : { status: 200 };
    };
    const phones = Array.from({ length: 100 }, () => new Phone('apns'));
    await Promise.all(phones.map((phone) => phone.message(socket)));
    await until(async () => (await pushCount(server, 'apns', 'accepted')) === 100, 'all are sent', 20_000);
    assert.ok(apns.sessionsOpened <= 8, `${apns.sessionsOpened} connections`);
  });
});
