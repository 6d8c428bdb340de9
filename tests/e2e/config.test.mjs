// Configuration from outside: what stops a start, what is only reported, and what is refused.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe } from 'node:test';

import { check, checkWithServer } from './support/case.mjs';
import { add, countOf, newConnection } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { run, Server, temporaryDirectory } from './support/server.mjs';
import { until } from './support/wait.mjs';

const free = { WS_PORT: '0', APP_PORT: '0' };

function isolated(env = {}) {
  return { ...free, MPR_DATA_DIR: join(temporaryDirectory(), 'data'), ...env };
}

describe('a wrong value stops the start with exit code 2 and says what would be right', () => {
  for (const [name, value, expected] of [
    ['WS_PORT', 'http', /0 to 65535/],
    ['WS_PORT', '65536', /0 to 65535/],
    ['APP_PORT', '-1', /0 to 65535/],
    ['THRESHOLD_TIMESTAMP', 'soon', /milliseconds/],
    ['LOG_LEVEL', 'loud', /debug/],
    ['MPR_BACKEND', 'postgres', /embedded/],
    ['MPR_BIND', 'localhost:80', /address/],
    ['MPR_ACK_DEADLINE_MS', '15s', /milliseconds/],
    ['MPR_MAX_FRAME_BYTES', 'lots', /size/],
    ['MPR_MAX_CONNECTIONS', 'many', /whole number/],
    ['MPR_MAX_IN_FLIGHT', '0', /1 to/],
    ['MPR_LOG_FORMAT', 'xml', /text/],
  ]) {
    check(`${name}=${value}`, async () => {
      const { code, output } = await run(['serve'], isolated({ [name]: value }));
      assert.equal(code, 2, output);
      assert.ok(output.includes(name), output);
      assert.ok(output.includes(value), output);
      assert.match(output, expected);
    });
  }

  check('all problems are reported at once', async () => {
    const { code, output } = await run(
      ['serve', '--no-such-flag', '--io-threads=many'],
      isolated({ WS_PORT: 'x', MPR_BACKEND: 'y' }),
    );
    assert.equal(code, 2);
    for (const part of ['--no-such-flag', 'MPR_IO_THREADS', 'WS_PORT', 'MPR_BACKEND']) {
      assert.ok(output.includes(part), `${part} in:\n${output}`);
    }
  });

  check('a line of the configuration file that cannot be read is named', async () => {
    const file = join(temporaryDirectory(), 'mpr.conf');
    writeFileSync(file, '# comment\nLOG_LEVEL=info\nthis is no setting\nMPR_BACKEND=none\n');
    const { code, output } = await run(['serve'], isolated({ MPR_CONFIG_FILE: file }));
    assert.equal(code, 2);
    assert.match(output, /line 3/);
    assert.match(output, /line 4/);
  });

  check('a configuration file that does not exist', async () => {
    const { code, output } = await run(
      ['serve'],
      isolated({ MPR_CONFIG_FILE: '/nonexistent.conf' }),
    );
    assert.equal(code, 2);
    assert.match(output, /nonexistent\.conf/);
  });
});

describe('a Redis that is asked for and not there never becomes an embedded store', () => {
  for (const env of [
    { REDIS_URL: 'redis://127.0.0.1:1' },
    { REDIS_TYPE: 'cluster', REDIS_NODES: '127.0.0.1:1' },
    { MONGODB_URI: 'mongodb://127.0.0.1:1/mpr' },
    { MPR_BACKEND: 'redis' },
  ]) {
    check(JSON.stringify(env), async () => {
      const all = isolated(env);
      const { code, output } = await run(['serve'], all);
      assert.notEqual(code, 0, output);
      assert.match(output, /REDIS|Redis/);
      assert.throws(() => readFileSync(join(all.MPR_DATA_DIR, 'LOCK')));
    });
  }
});

checkWithServer(
  'an unknown MPR_ variable is reported with the name that was meant, and starts',
  { env: { MPR_BACKNED: 'memory', MPR_COMPLETELY_ELSE: '1' } },
  async (server) => {
    await until(
      () => /MPR_BACKNED/.test(server.log) && /MPR_COMPLETELY_ELSE/.test(server.log),
      'both names are in the log',
    );
    assert.match(server.log, /MPR_BACKEND/);
    const socket = await RpcSocket.open(server.url);
    assert.equal(await socket.call('ping'), 'pong');
    await socket.close();
  },
);

checkWithServer(
  'a second process on the same directory is refused with a message that names it',
  { env: { MPR_BACKEND: 'embedded' } },
  async (server) => {
    const { code, output } = await run(['serve'], { ...free, MPR_DATA_DIR: server.dataDirectory });
    assert.notEqual(code, 0);
    assert.ok(output.includes(server.dataDirectory), output);
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    await add(socket, connectionId);
    assert.equal(await countOf(socket, connectionId), 1);
    await socket.close();
  },
);

check('a port in use stops the start with a message that names it', async () => {
  const holder = createServer();
  await new Promise((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address();
  for (const name of ['WS_PORT', 'APP_PORT']) {
    const { code, output } = await run(['serve'], isolated({ [name]: String(port) }));
    assert.equal(code, 1, output);
    assert.ok(output.includes(String(port)), output);
  }
  await new Promise((resolve) => holder.close(resolve));
});

check(
  'a data directory that cannot be made stops the start with a message that names it',
  async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, 'not a directory');
    const { code, output } = await run(['serve'], { ...free, MPR_DATA_DIR: join(file, 'data') });
    assert.equal(code, 1, output);
    assert.ok(output.includes(file), output);
  },
);

check('flags win over the environment, and that over the file', async () => {
  const directory = temporaryDirectory();
  const file = join(directory, 'mpr.conf');
  const [byFile, byEnvironment, byFlag] = ['file', 'environment', 'flag'].map((name) =>
    join(directory, name),
  );
  writeFileSync(file, `MPR_DATA_DIR=${byFile}\nMPR_MAX_IN_FLIGHT=7\n`);
  const server = await Server.start({
    env: { MPR_CONFIG_FILE: file, MPR_DATA_DIR: byEnvironment },
    args: ['--data-dir', byFlag],
  });
  try {
    assert.doesNotThrow(() => readFileSync(join(byFlag, 'LOCK')));
    assert.throws(() => readFileSync(join(byEnvironment, 'LOCK')));
    assert.throws(() => readFileSync(join(byFile, 'LOCK')));
    await until(() => /MPR_MAX_IN_FLIGHT/.test(server.log), 'the changed option is in the log');
  } finally {
    await server.stop();
  }
});

check('an address that is not loopback, without a token, is warned of', async () => {
  const open = await run(['check'], isolated({ MPR_BIND: '0.0.0.0' }));
  const closed = await run(
    ['check'],
    isolated({ MPR_BIND: '0.0.0.0', MPR_AUTH_TOKEN: 'x'.repeat(32) }),
  );
  assert.match(open.output, /MPR_AUTH_TOKEN/);
  assert.equal(closed.code, 0, closed.output);
});

describe('mpr check', () => {
  check('says what would be used and where it comes from, and never a secret', async () => {
    const env = isolated({ MPR_AUTH_TOKEN: 'very-secret-token', MPR_MAX_IN_FLIGHT: '77' });
    const { code, output } = await run(['check'], env);
    assert.equal(code, 0, output);
    assert.match(output, /MPR_MAX_IN_FLIGHT.*77/);
    assert.ok(output.includes(env.MPR_DATA_DIR), output);
    assert.ok(!output.includes('very-secret-token'), output);
    assert.match(output, /\*\*\*/);
  });

  check('fails on a wrong value and on a directory in use', async () => {
    const wrong = await run(['check'], isolated({ WS_PORT: 'x' }));
    const server = await Server.start({ env: { MPR_BACKEND: 'embedded' } });
    const used = await run(['check'], { ...free, MPR_DATA_DIR: server.dataDirectory });
    await server.stop();
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.output, /WS_PORT/);
    assert.equal(used.code, 1, used.output);
    assert.ok(used.output.includes(server.dataDirectory), used.output);
  });
});

describe('the command line', () => {
  check('without a subcommand prints help and exits with 2', async () => {
    const { code, output } = await run([]);
    assert.equal(code, 2);
    assert.match(output, /serve/);
  });

  check('help lists the subcommands and the options', async () => {
    const { code, output } = await run(['help']);
    assert.equal(code, 0);
    for (const word of ['serve', 'version', 'check', 'WS_PORT', 'MPR_DATA_DIR']) {
      assert.ok(output.includes(word), word);
    }
  });

  check('version answers', async () => {
    const { code, output } = await run(['version']);
    assert.equal(code, 0);
    assert.match(output, /\d+\.\d+\.\d+/);
  });

  check('an unknown subcommand exits with 2 and names it', async () => {
    const { code, output } = await run(['sevre']);
    assert.equal(code, 2);
    assert.match(output, /sevre/);
  });
});

check('the default data directory is ./mpr-data below the working directory', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'here'));
  const { output } = await run(['check'], free);
  assert.match(output, /\.\/mpr-data/);
});
