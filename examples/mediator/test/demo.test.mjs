// The example as a newcomer starts it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { within } from '../../../tests/e2e/support/wait.mjs';
import { Server } from './support/world.mjs';

test('the demonstration shows every message arrive', { timeout: 60_000 }, async () => {
  const server = await Server.start();
  const child = spawn(fileURLToPath(new URL('../run', import.meta.url)), ['--demo'], {
    env: { ...process.env, MPR_URL: server.url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  try {
    const code = await within(
      new Promise((resolve) => child.once('close', resolve)),
      50_000,
      'the end of the demonstration',
    );
    assert.equal(code, 0, output);
    assert.deepEqual(
      [...output.matchAll(/the phone has (\d+ of \d+) messages/g)].map(([, counts]) => counts),
      ['3 of 3', '3 of 6', '6 of 6', '9 of 9'],
      output,
    );
  } finally {
    child.kill('SIGKILL');
    await server.stop();
  }
});
