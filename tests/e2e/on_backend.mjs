// Runs test files on real servers that are started once for all of them:
//
//   node on_backend.mjs redis|two [--test-name-pattern=...] file.test.mjs ...

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { kinds, startServers } from './support/backends.mjs';

const [kind, ...args] = process.argv.slice(2);
if (!kinds.includes(kind) || args.length === 0) {
  console.error(`usage: node on_backend.mjs ${kinds.join('|')} [options of node] file ...`);
  process.exit(2);
}

const began = Date.now();
let servers;
try {
  servers = await startServers(kind);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
console.log(`servers for "${kind}" started in ${Date.now() - began} ms`);

const tests = spawn(
  process.execPath,
  // One file at a time: some cases measure times.
  ['--test', '--test-concurrency=1', '--test-reporter=spec', ...args],
  {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, MPR_E2E_BACKEND: kind, MPR_E2E_SERVERS: JSON.stringify(servers) },
  },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => tests.kill(signal));
tests.once('close', (code) => process.exit(code ?? 1));
