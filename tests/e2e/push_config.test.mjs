// Credential files that are missing or broken, `mpr push-test`, and that no secret is ever logged.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe } from 'node:test';

import { check } from './support/case.mjs';
import { ApnsServer, FcmServer, stopPushServers, WebhookServer } from './support/push_servers.mjs';
import { Phone, pushCount } from './support/push_phone.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { run, Server, temporaryDirectory } from './support/server.mjs';
import { until } from './support/wait.mjs';

after(stopPushServers);

function written(text, name = 'file') {
  const file = join(temporaryDirectory(), name);
  writeFileSync(file, text);
  return file;
}

const start = {
  WS_PORT: '0',
  APP_PORT: '0',
  MPR_BACKEND: 'memory',
};

describe('files that do not exist turn their sender off, and the start says so', () => {
  for (const [name, env, line] of [
    [
      'FIREBASE_CFG_FILE',
      { FIREBASE_CFG_FILE: '/nonexistent/fcm.json' },
      /warn.*push by fcm: FIREBASE_CFG_FILE names \/nonexistent\/fcm\.json, which does not exist/,
    ],
    [
      'APNS_CFG_FILE',
      {
        APNS_CFG_FILE: '/nonexistent/apns.json',
        APNS_PATH_KEY: '/nonexistent/key.p8',
        APNS_TOPIC: 'app',
      },
      /warn.*push by apns is off: APNS_CFG_FILE names \/nonexistent\/apns\.json, which does not/,
    ],
    [
      'APNS_TOPIC',
      { APNS_CFG_FILE: '/nonexistent/apns.json', APNS_PATH_KEY: '/nonexistent/key.p8' },
      /warn.*push by apns is off: it needs APNS_CFG_FILE, APNS_PATH_KEY and APNS_TOPIC/,
    ],
    ['nothing at all', {}, /info.*push by apns is off: APNS_CFG_FILE is not set/],
  ]) {
    check(name, async () => {
      const server = await Server.start({ env });
      assert.match(server.log, line);
      await server.stop();
    });
  }
});

describe('files that cannot be used stop the start with the reason', () => {
  const refused = (name, env, reason) =>
    check(name, async () => {
      const resolved = typeof env === 'function' ? await env() : env;
      const { code, output } = await run(['serve'], { ...start, ...resolved });
      assert.equal(code, 1, output);
      assert.match(output, reason);
      assert.ok(!output.includes('PRIVATE'), 'no key is shown');
    });

  const account = async (change) => {
    const fcm = await FcmServer.start();
    const changed = { ...fcm.projects.get('mpr-test').account, ...change };
    await fcm.stop();
    return { FIREBASE_CFG_FILE: written(JSON.stringify(changed)) };
  };
  refused('no JSON', { FIREBASE_CFG_FILE: written('not json') }, /FIREBASE_CFG_FILE.*JSON object/);
  refused(
    'a directory',
    { FIREBASE_CFG_FILE: temporaryDirectory() },
    /FIREBASE_CFG_FILE: .* cannot be read/,
  );
  refused('no project', () => account({ project_id: undefined }), /no text member .{1,2}project_id/);
  refused('a project of slashes', () => account({ project_id: 'a/b' }), /characters in .{1,2}project_id/);
  refused(
    'a key that is none',
    () => account({ private_key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' }),
    /private_key.{1,3}is no RSA private key/,
  );

  const apns = async (change) => {
    const server = await ApnsServer.start();
    await server.stop();
    return { ...server.env, ...change(server) };
  };
  refused(
    'an APNs file without a team',
    () => apns(() => ({ APNS_CFG_FILE: written('{"keyId":"K"}') })),
    /APNS_CFG_FILE: has no text member .{1,2}teamId/,
  );
  refused(
    'a production that is neither true nor false',
    () => apns(() => ({ APNS_CFG_FILE: written('{"keyId":"K","teamId":"T","production":"no"}') })),
    /production.{1,3}is neither true nor false/,
  );
  refused(
    'a key for another algorithm',
    async () => {
      const fcm = await FcmServer.start();
      await fcm.stop();
      const rsa = fcm.projects.get('mpr-test').account.private_key;
      return apns(() => ({ APNS_PATH_KEY: written(rsa) }));
    },
    /APNS_PATH_KEY: is no EC P-256 private key/,
  );
});

describe('mpr push-test', () => {
  const pushTest = (env, ...args) => run(['push-test', ...args], { ...start, ...env }, 20_000);

  check('sends one notification and says that it was taken', async () => {
    const apns = await ApnsServer.start();
    const phone = new Phone('apns');
    const { code, output } = await pushTest(apns.env, '--type', 'apns', `--token=${phone.token}`);
    assert.equal(code, 0, output);
    assert.match(output, /answer: 200 \(accepted\)/);
    assert.equal(apns.to(phone.token).length, 1);
    assert.ok(!output.includes(phone.token));
    await apns.stop();
  });

  check('explains a refusal', async () => {
    const fcm = await FcmServer.start();
    fcm.answers = () => FcmServer.error(404, 'NOT_FOUND', 'UNREGISTERED');
    const args = ['--type', 'fcm', '--token', new Phone('fcm').token];
    const dead = await pushTest(fcm.env, ...args);
    assert.equal(dead.code, 1);
    assert.match(dead.output, /answer: 404 UNREGISTERED \(token_dead\)\nThe provider knows nobody/);
    fcm.answers = () => FcmServer.error(503, 'UNAVAILABLE', 'UNAVAILABLE');
    const busy = await pushTest(fcm.env, ...args);
    assert.match(busy.output, /503 UNAVAILABLE \(retry\)\nThe provider is busy: .* in 10 s/);
    await fcm.stop();
    const down = await pushTest(fcm.env, ...args);
    assert.match(down.output, /\(retry\)\nThe provider did not answer/);
  });

  check('says when a certificate is not trusted', async () => {
    const webhook = await WebhookServer.start();
    const env = { ...webhook.env, MPR_PUSH_CA_FILE: '' };
    const { code, output } = await pushTest(env, '--type=webhook', '--token=x');
    assert.equal(code, 1);
    assert.match(output, /SSL peer certificate/);
    await webhook.stop();
  });

  check('explains its usage, and what is off', async () => {
    assert.equal((await pushTest({}, '--type', 'fcm')).code, 2);
    assert.equal((await pushTest({}, '--type', 'sms', '--token', 'x')).code, 2);
    assert.equal((await pushTest({}, '--help')).code, 0);
    const off = await pushTest({}, '--type', 'fcm', '--token', 'x');
    assert.equal(off.code, 1);
    assert.match(off.output, /Nothing was sent: push by fcm is off/);
  });
});

// Lets every provider answer with every status, repeating what it was sent, then lets them be silent,
// then stops them.
async function provoke(server, socket, providers) {
  const [fcm, apns, webhook] = providers;
  const phones = [];
  const wake = async () => {
    for (const [type, provider] of Object.entries({ fcm, apns, webhook })) {
      const phone = new Phone(type);
      phones.push(phone);
      await phone.message(socket);
      if (provider.server.listening) await provider.reached(phone.token);
    }
  };
  for (const status of [200, 400, 401, 403, 404, 410, 413, 429, 500, 503]) {
    for (const provider of providers) {
      provider.answers = (push) => ({
        status,
        body: { error: { status: push.token, message: push.token }, reason: push.token },
      });
    }
    await wake();
  }
  for (const provider of providers) provider.answers = () => 'silence';
  await wake();
  for (const provider of providers) await provider.close();
  await wake();
  await until(async () => (await pushCount(server, 'apns', 'token_dead')) === 1, 'answers came');
  await until(() => server.log.includes('could not send'), 'failures are logged');
  return phones;
}

check('no token, key or payload is in any log line, at the most verbose level', async () => {
  const fcm = await FcmServer.start();
  const apns = await ApnsServer.start();
  const webhook = await WebhookServer.start();
  const server = await Server.start({
    env: {
      LOG_LEVEL: 'debug',
      MPR_PUSH_WINDOW_MS: '500',
      MPR_PUSH_TIMEOUT_MS: '500',
      ...fcm.env,
      ...apns.env,
      ...webhook.env,
    },
  });
  try {
    const socket = await RpcSocket.open(server.url);
    await socket.call('rpc.on', ['pushTokenInvalid']);
    const phones = await provoke(server, socket, [fcm, apns, webhook]);
    await server.stop();

    const project = fcm.projects.get('mpr-test');
    const keyLines = (pem) => pem.split('\n').filter((line) => line && !line.startsWith('---'));
    const secrets = [
      ...phones.map(({ token }) => token.slice(0, 20)),
      ...keyLines(project.account.private_key),
      ...keyLines(apns.p8),
      ...apns.providerTokens,
      'ya29.access-token',
      webhook.secret,
      'PRIVATE KEY',
      'eyJ', // how signed tokens and payloads begin
      'KqGAZWFmJzTrNdWH', // of the payload
    ];
    assert.ok(server.log.length > 500);
    for (const secret of secrets) {
      const line = server.log.split('\n').find((other) => other.includes(secret));
      assert.equal(line, undefined, `${secret.slice(0, 8)}... in: ${line}`);
    }
  } finally {
    if (Server.running.has(server)) await server.kill();
  }
});
