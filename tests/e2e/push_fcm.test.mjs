// Push notifications through FCM HTTP v1, against a server that checks as FCM does.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe } from 'node:test';

import { check, checkWithServer } from './support/case.mjs';
import { FcmServer, stopPushServers } from './support/push_servers.mjs';
import { Phone, pushCount } from './support/push_phone.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { until } from './support/wait.mjs';

after(stopPushServers);

const quick = { MPR_PUSH_WINDOW_MS: '500' };

// One FCM and one gateway for a case.
function checkFcm(name, body, { env = {}, projects, timeout = 60_000 } = {}) {
  return check(
    name,
    async (t) => {
      const fcm = await FcmServer.start(projects);
      const server = await Server.start({ env: { ...quick, ...fcm.env, ...env } });
      try {
        const socket = await RpcSocket.open(server.url);
        await body({ fcm, server, socket, t });
        fcm.check();
        await server.stop();
      } finally {
        if (Server.running.has(server)) await server.kill();
        await fcm.stop();
      }
    },
    { timeout },
  );
}

describe('what FCM is sent', () => {
  checkFcm('an alert that today\'s apps understand', async ({ fcm, socket }) => {
    const phone = new Phone('fcm');
    const id = await phone.message(socket);
    const [{ message }] = await fcm.reached(phone.token);
    const alert = { title: 'New message', body: 'Open the app to receive it' };
    assert.deepEqual(message, {
      token: phone.token,
      data: { '@type': 'https://didcomm.org/push-notifications-fcm', message_id: id },
      notification: alert,
      android: {
        priority: 'high',
        collapse_key: 'generic-new-messages',
        notification: { tag: 'generic-new-messages' },
      },
      apns: {
        headers: {
          'apns-push-type': 'alert',
          'apns-priority': '10',
          'apns-collapse-id': 'generic-new-messages',
        },
        payload: { aps: { alert, 'content-available': 1 } },
      },
    });
  });

  checkFcm(
    'title and body as configured, even with quotes and other alphabets',
    async ({ fcm, socket }) => {
      const phone = new Phone('fcm');
      await phone.message(socket);
      const [{ message }] = await fcm.reached(phone.token);
      assert.deepEqual(message.notification, { title: '"Neu"', body: 'Öffne 钱包\\' });
    },
    { env: { MPR_PUSH_TITLE: '"Neu"', MPR_PUSH_BODY: 'Öffne 钱包\\' } },
  );

  checkFcm(
    'nothing to show with NOTIFICATION_DATA_ONLY',
    async ({ fcm, socket }) => {
      const phone = new Phone('fcm');
      const id = await phone.message(socket);
      const [{ message }] = await fcm.reached(phone.token);
      assert.deepEqual(message, {
        token: phone.token,
        data: { '@type': 'https://didcomm.org/push-notifications-fcm', message_id: id },
        android: { priority: 'high', collapse_key: 'generic-new-messages' },
        apns: {
          headers: {
            'apns-push-type': 'background',
            'apns-priority': '5',
            'apns-collapse-id': 'generic-new-messages',
          },
          payload: { aps: { 'content-available': 1 } },
        },
      });
    },
    { env: { NOTIFICATION_DATA_ONLY: 'true' } },
  );

  checkFcm(
    'each project gets its own tokens, and the first those that name none',
    async ({ fcm, server, socket }) => {
      const phones = [new Phone('fcm'), new Phone('fcm', { project: 'app-two' })];
      const stray = new Phone('fcm', { project: 'nobody' });
      for (const phone of [...phones, stray]) await phone.message(socket);
      assert.equal((await fcm.reached(phones[0].token))[0].project, 'app-one');
      assert.equal((await fcm.reached(phones[1].token))[0].project, 'app-two');
      await until(async () => (await pushCount(server, 'fcm', 'rejected')) === 1, 'it is counted');
    },
    { projects: ['app-one', 'app-two'] },
  );
});

describe('the access token', () => {
  checkFcm('is fetched once for many', async ({ fcm, socket }) => {
    const phones = Array.from({ length: 50 }, () => new Phone('fcm'));
    await Promise.all(phones.map((phone) => phone.message(socket)));
    for (const phone of phones) await fcm.reached(phone.token);
    assert.equal(fcm.projects.get('mpr-test').tokensMade, 1);
    assert.ok(fcm.sessionsOpened <= 4, `${fcm.sessionsOpened} connections`);
  });

  checkFcm('is fetched once more after 401, however many got one', async ({ fcm, socket }) => {
    const first = new Phone('fcm');
    await first.message(socket);
    await fcm.reached(first.token);
    const project = fcm.projects.get('mpr-test');
    project.token = 'revoked';
    const phones = Array.from({ length: 20 }, () => new Phone('fcm'));
    await Promise.all(phones.map((phone) => phone.message(socket)));
    for (const phone of phones) await fcm.reached(phone.token);
    assert.equal(project.tokensMade, 2);
  });

  checkFcm('is fetched again before it expires', async ({ fcm, socket }) => {
    fcm.life = 62; // less a margin of 60
    const project = fcm.projects.get('mpr-test');
    await until(
      async () => {
        const phone = new Phone('fcm');
        await phone.message(socket);
        await fcm.reached(phone.token);
        return project.tokensMade >= 2;
      },
      'a second token',
    );
  });

  checkFcm('that is refused for good is an error of the configuration', async (c) => {
    c.fcm.grantAnswers = () => ({ status: 400, body: { error: 'invalid_grant' } });
    await new Phone('fcm').message(c.socket);
    await until(
      async () => (await pushCount(c.server, 'fcm', 'misconfigured')) === 1,
      'it is counted',
    );
    assert.match(c.server.log, /error.*check its configuration.*access token: 400 invalid_grant/);
  });
});

describe('a dead token', () => {
  for (const [name, answer, reason] of [
    ['404 UNREGISTERED', FcmServer.error(404, 'NOT_FOUND', 'UNREGISTERED'), '404 UNREGISTERED'],
    [
      '400 INVALID_ARGUMENT about the token',
      FcmServer.error(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', {
        message: 'The registration token is not a valid FCM registration token',
      }),
      '400 INVALID_ARGUMENT',
    ],
    [
      '400 INVALID_ARGUMENT with the token as its field',
      FcmServer.error(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', {
        details: [
          {
            '@type': 'type.googleapis.com/google.rpc.BadRequest',
            fieldViolations: [{ field: 'message.token', description: 'Invalid' }],
          },
        ],
      }),
      '400 INVALID_ARGUMENT',
    ],
  ]) {
    checkFcm(`${name} is announced to subscribers and not tried again`, async (c) => {
      const subscriber = await RpcSocket.open(c.server.url);
      await subscriber.call('rpc.on', ['pushTokenInvalid']);
      c.fcm.answers = () => answer;
      const phone = new Phone('fcm');
      await phone.message(c.socket);
      const { json } = await subscriber.events.next();
      assert.deepEqual(json, {
        jsonrpc: '2.0',
        method: 'pushTokenInvalid',
        params: {
          connectionId: phone.connectionId,
          type: 'fcm',
          tokenSha256: createHash('sha256').update(phone.token).digest('hex'),
          reason,
        },
      });
      await phone.message(c.socket);
      await until(
        async () => (await pushCount(c.server, 'fcm', 'known_dead')) === 1,
        'the second push was not tried',
      );
      assert.equal(c.fcm.to(phone.token).length, 1);
      assert.equal(c.socket.events.items.length, 0, 'who did not subscribe hears nothing');
    });
  }
});

describe('a refusal that is not about the token', () => {
  checkFcm('400 about the request is neither repeated nor held against the token', async (c) => {
    c.fcm.answers = () =>
      FcmServer.error(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', { message: 'Unknown field' });
    const phone = new Phone('fcm');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'fcm', 'rejected')) === 1, 'counted');
    assert.equal(await pushCount(c.server, 'fcm', 'token_dead'), 0);
  });

  checkFcm('403 SENDER_ID_MISMATCH is an error of the configuration', async (c) => {
    c.fcm.answers = () => FcmServer.error(403, 'PERMISSION_DENIED', 'SENDER_ID_MISMATCH');
    await new Phone('fcm').message(c.socket);
    await until(async () => (await pushCount(c.server, 'fcm', 'misconfigured')) === 1, 'counted');
    assert.match(c.server.log, /error.*check its configuration.*403 SENDER_ID_MISMATCH/);
  });
});

describe('a busy FCM', () => {
  for (const [status, word, rpc] of [
    [429, 'QUOTA_EXCEEDED', 'RESOURCE_EXHAUSTED'],
    [503, 'UNAVAILABLE', 'UNAVAILABLE'],
  ]) {
    checkFcm(`${status} with Retry-After is tried again then`, async ({ fcm, socket }) => {
      fcm.answers = (push, attempt) =>
        attempt === 1
          ? FcmServer.error(status, rpc, word, { headers: { 'retry-after': '1' } })
          : fcm.accepted();
      const phone = new Phone('fcm');
      await phone.message(socket);
      const [first, second] = await fcm.reached(phone.token, 2);
      assert.ok(second.at - first.at >= 1000 && second.at - first.at < 4000);
    });
  }

  checkFcm(
    'without Retry-After: 500 and 503 after ten seconds at least, 429 not within fifteen',
    async ({ fcm, socket }) => {
      const [unavailable, broken, limited] = [new Phone('fcm'), new Phone('fcm'), new Phone('fcm')];
      const status = new Map([
        [unavailable.token, [503, 'UNAVAILABLE', 'UNAVAILABLE']],
        [broken.token, [500, 'INTERNAL', 'INTERNAL']],
        [limited.token, [429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED']],
      ]);
      fcm.answers = (push, attempt) =>
        attempt === 1 ? FcmServer.error(...status.get(push.token)) : fcm.accepted();
      for (const phone of [limited, unavailable, broken]) await phone.message(socket);
      for (const phone of [unavailable, broken]) {
        const [first, second] = await fcm.reached(phone.token, 2, 20_000);
        assert.ok(second.at - first.at >= 10_000, `after ${second.at - first.at} ms`);
      }
      await until(() => Date.now() - fcm.to(limited.token)[0].at > 15_000, 'a while', 20_000);
      assert.equal(fcm.to(limited.token).length, 1);
    },
  );

  checkFcm('is not asked again for a phone that came back meanwhile', async (c) => {
    c.fcm.answers = () =>
      FcmServer.error(503, 'UNAVAILABLE', 'UNAVAILABLE', { headers: { 'retry-after': '1' } });
    const phone = new Phone('fcm');
    await phone.message(c.socket);
    await c.fcm.reached(phone.token);
    await phone.pickUp(c.socket);
    await until(async () => (await pushCount(c.server, 'fcm', 'unneeded')) === 1, 'no retry');
    assert.equal(c.fcm.to(phone.token).length, 1);
  });

  checkFcm(
    'is given up after the bounded age',
    async (c) => {
      c.fcm.answers = () =>
        FcmServer.error(503, 'UNAVAILABLE', 'UNAVAILABLE', { headers: { 'retry-after': '1' } });
      const phone = new Phone('fcm');
      await phone.message(c.socket);
      await until(
        async () => (await pushCount(c.server, 'fcm', 'given_up')) === 1,
        'given up',
        10_000,
      );
      assert.ok(c.fcm.to(phone.token).length <= 3);
    },
    { env: { MPR_PUSH_MAX_AGE_MS: '2500' } },
  );
});

describe('connections', () => {
  checkFcm('GOAWAY in mid-stream loses nothing', async ({ fcm, server, socket }) => {
    const warm = new Phone('fcm');
    await warm.message(socket);
    await fcm.reached(warm.token);
    let answered = 0;
    fcm.answers = async () => {
      answered += 1;
      return answered === 10 ? 'goaway' : fcm.accepted();
    };
    const phones = Array.from({ length: 40 }, () => new Phone('fcm'));
    await Promise.all(phones.map((phone) => phone.message(socket)));
    await until(async () => (await pushCount(server, 'fcm', 'accepted')) === 41, 'all are sent', 20_000);
    assert.ok(fcm.sessionsOpened <= 6, `${fcm.sessionsOpened} connections`);
  });

  checkFcm(
    'a server that accepts and never answers is left for a new connection',
    async ({ fcm, server, socket }) => {
      let silent = true;
      fcm.answers = () => (silent ? 'silence' : fcm.accepted());
      const phone = new Phone('fcm');
      await phone.message(socket);
      await fcm.reached(phone.token, 2, 15_000);
      const opened = fcm.sessionsOpened;
      silent = false;
      await until(async () => (await pushCount(server, 'fcm', 'accepted')) === 1, 'sent', 15_000);
      assert.ok(fcm.sessionsOpened > 2, `${opened} connections`);
      assert.match(server.log, /could not send a push notification.*reason=/);
    },
    { env: { MPR_PUSH_TIMEOUT_MS: '700' } },
  );

  checkFcm('a server that is down is found again when it is back', async (c) => {
    const warm = new Phone('fcm');
    await warm.message(c.socket);
    await c.fcm.reached(warm.token);
    const { port } = c.fcm;
    await c.fcm.close();
    const phone = new Phone('fcm');
    await phone.message(c.socket);
    await until(() => c.server.log.includes('could not send a push notification'), 'it failed');
    await c.fcm.listen(port);
    await c.fcm.reached(phone.token, 1, 15_000);
  });
});

checkWithServer(
  'a token without a sender is counted and harms nothing',
  { env: quick },
  async (server) => {
    const socket = await RpcSocket.open(server.url);
    await new Phone('fcm').message(socket);
    await until(async () => (await pushCount(server, 'fcm', 'no_sender')) === 1, 'it is counted');
    assert.match(server.log, /push by fcm is off: FIREBASE_CFG_FILE is not set/);
  },
);
