// The webhook sender: signed, tried again, and the way for tokens whose own sender is off.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, describe } from 'node:test';

import { check } from './support/case.mjs';
import { stopPushServers, WebhookServer } from './support/push_servers.mjs';
import { Phone, pushCount } from './support/push_phone.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { until } from './support/wait.mjs';

after(stopPushServers);

function checkWebhook(name, body) {
  return check(name, async () => {
    const webhook = await WebhookServer.start();
    const server = await Server.start({
      env: { MPR_PUSH_WINDOW_MS: '500', ...webhook.env },
    });
    try {
      const socket = await RpcSocket.open(server.url);
      await body({ webhook, server, socket });
      webhook.check();
      await server.stop();
    } finally {
      if (Server.running.has(server)) await server.kill();
      await webhook.stop();
    }
  });
}

describe('the webhook', () => {
  for (const type of ['webhook', 'fcm', 'apns']) {
    checkWebhook(`is told of a phone with a token of type ${type}`, async (c) => {
      const phone = new Phone(type);
      const id = await phone.message(c.socket);
      const [{ json }] = await c.webhook.reached(phone.token);
      assert.deepEqual(json, {
        connectionId: phone.connectionId,
        messageId: id,
        type,
        token: phone.token,
      });
    });
  }

  for (const status of [429, 500, 503]) {
    checkWebhook(`that answers ${status} is asked again when it says so`, async (c) => {
      c.webhook.answers = (push, attempt) =>
        attempt === 1 ? { status, headers: { 'retry-after': '1' } } : { status: 204 };
      const phone = new Phone('webhook');
      await phone.message(c.socket);
      const [first, second] = await c.webhook.reached(phone.token, 2);
      assert.ok(second.at - first.at >= 1000);
    });
  }

  checkWebhook('that answers 410 is not told of this token again', async (c) => {
    c.webhook.answers = () => ({ status: 410 });
    const phone = new Phone('webhook');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'webhook', 'token_dead')) === 1, 'dead');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'webhook', 'known_dead')) === 1, 'known');
  });

  checkWebhook('that answers 400 is not asked again', async (c) => {
    c.webhook.answers = () => ({ status: 400 });
    const phone = new Phone('webhook');
    await phone.message(c.socket);
    await until(async () => (await pushCount(c.server, 'webhook', 'rejected')) === 1, 'counted');
    assert.equal(c.webhook.to(phone.token).length, 1);
  });

  checkWebhook('that redirects is not followed', async (c) => {
    c.webhook.answers = () => ({ status: 307, headers: { location: `${c.webhook.url}/other` } });
    const phone = new Phone('webhook');
    await phone.message(c.socket);
    await until(
      async () => (await pushCount(c.server, 'webhook', 'misconfigured')) === 1,
      'counted',
    );
    assert.equal(c.webhook.pushes.length, 1);
  });
});

check('a webhook on plain HTTP/1.1 is told too, over few connections', async () => {
  let connections = 0;
  const bodies = [];
  const plain = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      bodies.push(JSON.parse(body));
      response.writeHead(200).end();
    });
  });
  plain.on('connection', () => {
    connections += 1;
  });
  await new Promise((resolve) => plain.listen(0, '127.0.0.1', resolve));
  const server = await Server.start({
    env: { MPR_WEBHOOK_URL: `http://127.0.0.1:${plain.address().port}/` },
  });
  try {
    const socket = await RpcSocket.open(server.url);
    const phones = Array.from({ length: 100 }, () => new Phone('webhook'));
    await Promise.all(phones.map((phone) => phone.message(socket)));
    await until(() => bodies.length === 100, 'all are told');
    assert.ok(connections <= 4, `${connections} connections`);
    assert.match(server.log, /warn.*push by webhook is not signed/);
    await server.stop();
  } finally {
    if (Server.running.has(server)) await server.kill();
    plain.closeAllConnections();
    plain.close();
  }
});
