// `mpr serve` in a temporary directory on free ports, as one process or as two on the same servers.
// Stops only what it started, and keeps what the processes wrote for the output of a failing test
// (see case.mjs).

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { gatewayCount, installation } from './backends.mjs';
import { ownPort } from './ports.mjs';
import { until, within } from './wait.mjs';

const kept = [
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'ASAN_OPTIONS',
  'UBSAN_OPTIONS',
  'TSAN_OPTIONS',
  'LSAN_OPTIONS',
];
const processes = new Set();
const directories = new Set();

process.on('exit', () => {
  for (const child of processes) child.kill('SIGKILL');
  if (process.env.MPR_E2E_KEEP) return;
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

export function binary() {
  const path = process.env.MPR_BIN;
  if (!path) throw new Error('MPR_BIN must name the mpr binary, for example build/dev/mpr');
  return path;
}

export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'mpr-e2e-'));
  directories.add(directory);
  return directory;
}

// The environment of a child: nothing of ours leaks into its configuration.
export function environment(extra) {
  const env = {};
  for (const name of kept) if (process.env[name] !== undefined) env[name] = process.env[name];
  return { ...env, ...extra };
}

// Runs mpr to its end: for starts that are refused and for subcommands.
export async function run(args, env = {}, milliseconds = 10_000) {
  const child = spawn(binary(), args, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  processes.add(child);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const ended = new Promise((resolve) =>
    child.once('close', (code, signal) => {
      processes.delete(child);
      resolve({ code, signal });
    }),
  );
  try {
    return { ...(await within(ended, milliseconds, `the end of mpr ${args.join(' ')}`)), output };
  } catch (error) {
    child.kill('SIGKILL');
    error.message += `\n${output}`;
    throw error;
  }
}

// One process after the other, on the same ports.
export class Gateway {
  constructor(directory, env, args) {
    this.directory = directory;
    this.env = env;
    this.args = args;
    this.ports = { ws: 0, app: 0 };
    this.log = '';
    this.child = undefined;
    this.launches = 0;
  }

  async launch(readyWithin) {
    this.launches += 1;
    for (const name of ['ws', 'app']) this.ports[name] ||= await ownPort();
    const portsFile = join(this.directory, `ports-${this.launches}.json`);
    const env = environment({
      WS_PORT: String(this.ports.ws),
      APP_PORT: String(this.ports.app),
      MPR_PORTS_FILE: portsFile,
      ...this.env,
    });
    const child = spawn(binary(), ['serve', ...this.args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    processes.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.log += chunk;
      });
    }
    this.ended = new Promise((resolve) =>
      child.once('close', (code, signal) => {
        processes.delete(child);
        resolve({ code, signal });
      }),
    );
    await until(
      () => {
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`mpr ended with ${child.exitCode ?? child.signalCode}:\n${this.log}`);
        }
        return existsSync(portsFile);
      },
      `mpr is ready:\n${this.log}`,
      readyWithin,
    );
    this.ports = JSON.parse(readFileSync(portsFile, 'utf8'));
  }

  // Ends this one process of an installation; to be launched again before the others are stopped.
  async end(signal) {
    this.child.kill(signal);
    await within(this.ended, 15_000, `the end of mpr:\n${this.log}`);
  }
}

// An installation: one gateway, or two on the same servers (see backends.mjs). What a test does to
// it happens to all its gateways.
export class Server {
  static running = new Set();

  // `env` is what the operator would set; without a backend in it the one that the run is about.
  static async start({ env = {}, args = [], readyWithin = 15_000 } = {}) {
    const directory = temporaryDirectory();
    const chosen = env.MPR_BACKEND !== undefined || env.MPR_CONFIG_FILE !== undefined;
    const servers = chosen ? {} : await installation();
    const all = { MPR_DATA_DIR: join(directory, 'data'), ...servers, ...env };
    const gateways = Array.from({ length: chosen ? 1 : gatewayCount }, (_, n) => {
      const own = join(directory, `gateway-${n}`);
      mkdirSync(own);
      return new Gateway(own, all, args);
    });
    const server = new Server(gateways, all.MPR_DATA_DIR);
    await server.relaunch(readyWithin);
    return server;
  }

  constructor(gateways, dataDirectory) {
    this.gateways = gateways;
    this.dataDirectory = dataDirectory;
  }

  // Where phones and mediators connect, and where senders do: the same gateway or another one.
  get url() {
    return `ws://127.0.0.1:${this.ports.ws}`;
  }
  get senderUrl() {
    return `ws://127.0.0.1:${this.gateways.at(-1).ports.ws}`;
  }
  get urls() {
    return this.gateways.map(({ ports }) => `ws://127.0.0.1:${ports.ws}`);
  }
  get opsUrl() {
    return `http://127.0.0.1:${this.ports.app}`;
  }
  get ports() {
    return this.gateways[0].ports;
  }
  get log() {
    return this.gateways.map((gateway) => gateway.log).join('');
  }

  signal(name) {
    for (const gateway of this.gateways) gateway.child.kill(name);
  }

  // Ends the processes as an operator would, and expects that they end as promised.
  async stop() {
    if (!Server.running.has(this)) return;
    this.signal('SIGTERM');
    const { code, signal } = await this.end();
    if (code !== 0) throw new Error(`mpr ended with ${code ?? signal}:\n${this.tail()}`);
  }

  // Ends the processes as a power cut of them would.
  async kill() {
    this.signal('SIGKILL');
    await this.end();
  }

  // How they ended: the first that did not end well, if there is one.
  async end(milliseconds = 15_000) {
    const all = Promise.all(this.gateways.map((gateway) => gateway.ended));
    const ends = await within(all, milliseconds, `the end of mpr:\n${this.tail()}`);
    Server.running.delete(this);
    return ends.find(({ code }) => code !== 0) ?? ends[0];
  }

  // Starts (again): on the same ports and the same data.
  async relaunch(readyWithin = 15_000) {
    Server.running.add(this);
    await Promise.all(this.gateways.map((gateway) => gateway.launch(readyWithin)));
  }

  tail(lines = 40) {
    return this.gateways
      .map((gateway) => gateway.log.split('\n').slice(-lines).join('\n'))
      .join('\n--- the other gateway:\n');
  }
}
