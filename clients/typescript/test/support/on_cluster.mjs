// Runs test files against two gateways on one Redis and one database that speaks MongoDB's protocol;
// the servers are started once for all of them. Messages move to the database after a second.
//
//   node on_cluster.mjs [options of node] file.test.mjs ...

import { spawn } from 'node:child_process';

import { startServers } from '../../../../tests/e2e/support/backends.mjs';

const archiveAfterMs = '1000';

const began = Date.now();
let servers;
try {
  servers = await startServers('redis');
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
console.log(`Redis and a database started in ${Date.now() - began} ms`);

const tests = spawn(process.execPath, ['--test', ...process.argv.slice(2)], {
  stdio: ['ignore', 'inherit', 'inherit'],
  env: {
    ...process.env,
    MPR_E2E_BACKEND: 'two',
    MPR_E2E_SERVERS: JSON.stringify({ ...servers, THRESHOLD_TIMESTAMP: archiveAfterMs }),
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => tests.kill(signal));
tests.once('close', (code) => process.exit(code ?? 1));
