// The subcommands beside `serve`, run as an operator would.

import assert from 'node:assert/strict';

import { check, checkWithServer } from './support/case.mjs';
import { run } from './support/server.mjs';

checkWithServer('mpr demo shows a running server at work', {}, async (server) => {
  const { code, output } = await run(['demo', '--url', server.url], {}, 30_000);
  assert.equal(code, 0, output);
  assert.match(output, /messagesReceived/);
});

check('mpr demo --start brings its own server', async () => {
  const { code, output } = await run(['demo', '--start'], {}, 30_000);
  assert.equal(code, 0, output);
});

for (const scenario of ['add', 'cycle', 'client', 'depth']) {
  checkWithServer(`mpr bench ${scenario} loses nothing in a short run`, {}, async (server) => {
    const args = ['bench', scenario, '--url', server.url, '--seconds', '1', '--warmup', '0'];
    const { code, output } = await run([...args, '--in-flight', '64'], {}, 30_000);
    assert.equal(code, 0, output);
  });
}

check('mpr bench refuses a target that is not this machine', async () => {
  const { code, output } = await run(['bench', 'add', '--url', 'ws://240.0.0.1:3100'], {}, 30_000);
  assert.notEqual(code, 0);
  assert.match(output, /loopback|--allow-remote/);
});
