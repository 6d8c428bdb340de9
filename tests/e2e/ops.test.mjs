// The pages on APP_PORT.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { backend } from './support/backends.mjs';
import { check } from './support/case.mjs';
import { request } from './support/http.mjs';
import { add, addMany, envelope, newConnection } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { until } from './support/wait.mjs';

describe('ops pages', () => {
  let server;
  let socket;
  before(async () => {
    server = await Server.start();
    socket = await RpcSocket.open(server.url);
  });
  after(async () => {
    socket?.ws.terminate();
    await server?.stop();
  });
  const get = (path, options) => request(server.opsUrl + path, options);
  const metric = async (name) => {
    const { body } = await get('/metrics');
    const found = new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+-]+)$`, 'm').exec(body);
    return Number(found?.[1]);
  };

  check('/healthz and /readyz answer 200', async () => {
    const [health, ready] = [await get('/healthz'), await get('/readyz')];
    assert.deepEqual([health.status, ready.status], [200, 200]);
    assert.match(health.body, /ok/);
  });

  check('/metrics is Prometheus text with a type for each metric', async () => {
    const { status, headers, body } = await get('/metrics');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/plain/);
    const names = new Set();
    for (const line of body.trimEnd().split('\n')) {
      assert.match(
        line,
        /^(# (HELP|TYPE) \S+ .+|[a-z_]+(\{[^}]*\})? [0-9.e+-]+|\S+_bucket\{le="\+Inf"\} \d+)$/,
      );
      if (line.startsWith('# TYPE ')) names.add(line.split(' ')[2]);
    }
    for (const name of [
      'mpr_sockets_open',
      'mpr_calls_total',
      'mpr_messages_added_total',
      'mpr_live_sessions',
      'mpr_call_seconds',
    ]) {
      assert.ok(names.has(name), name);
    }
    // Nobody counts what is in Redis.
    assert.equal(names.has('mpr_messages_pending'), backend === 'embedded');
  });

  check('counts what happens', async () => {
    const connectionId = newConnection();
    const names = [
      'mpr_messages_added_total',
      'mpr_messages_acknowledged_total',
      'mpr_live_sessions',
      ...(backend === 'embedded' ? ['mpr_messages_pending'] : []),
    ];
    const before = await Promise.all(names.map(metric));
    await socket.call('addLiveSession', { connectionId, sessionId: 'session-1' });
    const ids = await addMany(socket, connectionId, 5);
    await socket.receivedIds(5);
    await socket.call('removeMessages', { connectionId, messageIds: ids.slice(0, 2) });
    // Gauges of tables are read now and then, not with every call.
    await until(async () => {
      const after = await Promise.all(names.map(metric));
      const [added, acknowledged, sessions, pending = 3] = after.map(
        (value, n) => value - before[n],
      );
      return added === 5 && acknowledged === 2 && sessions === 1 && pending === 3;
    }, 'the metrics show 5 added, 2 acknowledged, 3 pending, 1 session');
    assert.equal(await metric('mpr_sockets_open'), 1);
  });

  check('/ is a page that needs nothing from elsewhere', async () => {
    const { status, headers, body } = await get('/');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/html/);
    assert.match(body, /<html/i);
    assert.doesNotMatch(body, /https?:\/\/(?!127\.0\.0\.1)/);
    assert.match(body, /status\.json/);
  });

  check('/status.json tells the state without content or connection ids', async () => {
    const connectionId = newConnection('private-connection');
    await add(socket, connectionId, 0, { payload: { ...envelope(), secret: 'private-content' } });
    const { status, headers, body } = await get('/status.json');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^application\/json/);
    assert.equal(typeof JSON.parse(body), 'object');
    for (const path of ['/', '/status.json', '/metrics', '/healthz', '/readyz']) {
      assert.doesNotMatch((await get(path)).body, /private-(content|connection)/, path);
    }
  });

  check('an unknown path is 404, another method 405', async () => {
    const statuses = [];
    for (const path of ['/nothing', '/metrics/x', '//', '/..', '/%2e%2e/etc/passwd']) {
      statuses.push((await get(path)).status);
    }
    assert.deepEqual(statuses, [404, 404, 404, 404, 404]);
    for (const method of ['POST', 'PUT', 'DELETE']) {
      assert.equal((await get('/healthz', { method })).status, 405, method);
    }
  });

  check('a query is ignored', async () => {
    assert.equal((await get('/healthz?probe=1')).status, 200);
  });
});
