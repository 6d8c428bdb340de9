// One `mpr serve` process in a temporary directory on free ports. Stops only what it started, and
// keeps what the process wrote for the output of a failing test (see case.mjs).

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

export class Server {
  static running = new Set();

  // `env` is what the operator would set; the backend is the embedded one unless it says otherwise.
  static async start({ env = {}, args = [], readyWithin = 15_000 } = {}) {
    const server = new Server(env, args);
    await server.launch(readyWithin);
    return server;
  }

  constructor(env, args) {
    this.directory = temporaryDirectory();
    this.env = env;
    this.args = args;
    this.ports = { ws: 0, app: 0 };
    this.log = '';
    this.child = undefined;
    this.launches = 0;
  }

  get url() {
    return `ws://127.0.0.1:${this.ports.ws}`;
  }
  get opsUrl() {
    return `http://127.0.0.1:${this.ports.app}`;
  }
  get dataDirectory() {
    return this.env.MPR_DATA_DIR ?? join(this.directory, 'data');
  }
  get pid() {
    return this.child.pid;
  }

  async launch(readyWithin) {
    this.launches += 1;
    const portsFile = join(this.directory, `ports-${this.launches}.json`);
    const env = environment({
      MPR_DATA_DIR: this.dataDirectory,
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
    Server.running.add(this);
    child.stdout.on('data', (chunk) => {
      this.log += chunk;
    });
    child.stderr.on('data', (chunk) => {
      this.log += chunk;
    });
    this.ended = new Promise((resolve) =>
      child.once('close', (code, signal) => {
        processes.delete(child);
        Server.running.delete(this);
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

  signal(name) {
    this.child.kill(name);
  }

  // Ends the process as an operator would, and expects that it ends as promised.
  async stop() {
    if (!Server.running.has(this)) return;
    this.signal('SIGTERM');
    const { code, signal } = await this.end();
    if (code !== 0) throw new Error(`mpr ended with ${code ?? signal}:\n${this.tail()}`);
  }

  // Ends the process as a power cut of the process would.
  async kill() {
    this.signal('SIGKILL');
    await this.end();
  }

  async end(milliseconds = 15_000) {
    return within(this.ended, milliseconds, `the end of mpr:\n${this.tail()}`);
  }

  // Starts again on the same ports and the same data.
  async relaunch(readyWithin = 15_000) {
    await this.launch(readyWithin);
  }

  tail(lines = 40) {
    return this.log.split('\n').slice(-lines).join('\n');
  }
}
