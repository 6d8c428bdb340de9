// Real servers behind the gateways: Redis, alone or as a cluster, and a database that speaks
// MongoDB's protocol. They are started once, on free loopback ports and in temporary directories,
// and die with this process, however it ends.
//
// MPR_E2E_BACKEND chooses what the tests run on:
//   embedded  the default: no servers
//   redis     one Redis, one database, one gateway
//   two       a Redis Cluster of three primaries and three replicas, one database, two gateways
// MPR_E2E_SERVERS holds what an outer process started (see on_backend.mjs).

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { bindable } from './ports.mjs';
import { until, within } from './wait.mjs';

export const kinds = ['embedded', 'redis', 'two'];
export const backend = process.env.MPR_E2E_BACKEND || 'embedded';
if (!kinds.includes(backend)) {
  throw new Error(`MPR_E2E_BACKEND is ${backend}: it has to be one of ${kinds.join(', ')}`);
}
export const gatewayCount = backend === 'two' ? 2 : 1;

// For cases that are about the process and not about its store: the store that starts quickest.
export const quickStore = backend === 'embedded' ? { MPR_BACKEND: 'memory' } : {};

const children = new Set();
const directories = new Set();
process.on('exit', () => {
  stopServers();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

// A child that is ended by `signal` when this process dies, even by kill -9.
function start(program, args, options, packages, signal = 'KILL') {
  const child = spawn('setpriv', ['--pdeathsig', signal, '--', program, ...args], options);
  child.end = () => child.kill(`SIG${signal}`);
  children.add(child);
  child.once('close', () => children.delete(child));
  child.once('error', () => {});
  child.missing = new Promise((_, reject) =>
    child.once('close', (code) => {
      if (code === 127 || code === 126) {
        reject(new Error(`${program} does not start: install the Debian packages ${packages}`));
      }
    }),
  );
  child.missing.catch(() => {});
  return child;
}

// Redis talks to its cluster on port + 10000, so that has to be free as well.
async function freePort(also = 0) {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const port = await bindable(0);
    if (also === 0 || (port + also < 65_536 && (await bindable(port + also)))) return port;
  }
  throw new Error('no free port');
}

async function command(program, args) {
  const child = start(program, args, { stdio: ['ignore', 'pipe', 'pipe'] }, 'redis-tools');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const ended = new Promise((resolve) => child.once('close', resolve));
  const code = await within(Promise.race([ended, child.missing]), 60_000, `${program} ${args}`);
  return { code, output };
}

const cli = async (port, ...words) =>
  (await command('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...words])).output.trim();

async function startRedis(lines = [], also = 0) {
  const port = await freePort(also);
  const directory = mkdtempSync(join(tmpdir(), 'mpr-e2e-redis-'));
  directories.add(directory);
  const file = join(directory, 'redis.conf');
  const fixed = [`port ${port}`, 'bind 127.0.0.1', `dir ${directory}`, 'save ""'];
  const advised = ['maxmemory-policy noeviction', 'stream-node-max-bytes 1024'];
  writeFileSync(file, [...fixed, ...advised, ...lines, ''].join('\n'));
  const child = start('redis-server', [file], { stdio: 'ignore' }, 'redis-server');
  await Promise.race([
    until(async () => (await cli(port, 'PING')) === 'PONG', 'redis-server answers', 20_000),
    child.missing,
  ]);
  return port;
}

async function startCluster() {
  const lines = ['cluster-enabled yes', 'cluster-node-timeout 1500', 'repl-diskless-sync-delay 0'];
  const ports = [];
  while (ports.length < 6) ports.push(await startRedis(lines, 10_000));
  const nodes = ports.map((port) => `127.0.0.1:${port}`);
  const created = await command('redis-cli', [
    ...['--cluster', 'create', ...nodes],
    ...['--cluster-replicas', '1', '--cluster-yes'],
  ]);
  if (created.code !== 0) throw new Error(`no cluster: ${created.output}`);
  for (const port of ports) {
    const good = async () =>
      /cluster_state:ok/.test(await cli(port, 'CLUSTER', 'INFO')) &&
      !/master_link_status:down/.test(await cli(port, 'INFO', 'replication'));
    await until(good, 'the cluster is ok', 60_000);
  }
  return nodes;
}

// See tests/support/mongodb: a real mongod, a given one, or FerretDB over PostgreSQL.
async function startDatabase() {
  const built = process.env.MPR_MONGODB_FOR_TESTS;
  const script = fileURLToPath(new URL('../../support/mongodb/start', import.meta.url));
  const stdio = ['pipe', 'pipe', 'pipe'];
  const args = built ? ['start'] : [];
  const child = start(built || script, args, { stdio }, 'golang and postgresql', 'TERM');
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const ready = new Promise((resolve, reject) => {
    const lines = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (line === 'ready') resolve(lines[0]);
    });
    child.once('close', () => reject(new Error(`no test database: ${complaints}`)));
  });
  return within(Promise.race([ready, child.missing]), 300_000, `a database:\n${complaints}`);
}

// What a gateway's environment has to say to use the servers of this kind.
export async function startServers(kind = backend, { database = true } = {}) {
  if (kind === 'embedded') return {};
  const redis =
    kind === 'two'
      ? { REDIS_TYPE: 'cluster', REDIS_NODES: (await startCluster()).join(',') }
      : { REDIS_URL: `redis://127.0.0.1:${await startRedis()}` };
  return database ? { ...redis, MONGODB_URI: await startDatabase() } : redis;
}

// Ends what startServers() started: a test process with children left does not end.
export function stopServers() {
  for (const child of children) child.end();
}

let servers;

// The environment of one installation, with keys and a database of its own; all gateways that get
// it belong together.
export async function installation() {
  if (backend === 'embedded') return {};
  servers ??= process.env.MPR_E2E_SERVERS
    ? Promise.resolve(JSON.parse(process.env.MPR_E2E_SERVERS))
    : startServers();
  const name = `e2e-${randomUUID().slice(0, 13)}`;
  return { ...(await servers), MPR_REDIS_PREFIX: name, MPR_MONGODB_DATABASE: name };
}
