// Runs the two programs of docs/protocol.md exactly as they stand there, against the real service.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Server, temporaryDirectory } from '../../tests/e2e/support/server.mjs';
import { within } from '../../tests/e2e/support/wait.mjs';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const section = page.slice(page.indexOf('## Write a client in an afternoon'));
const modules = fileURLToPath(new URL('../typescript/node_modules', import.meta.url));

function program(language) {
  const blocks = [...section.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))];
  assert.equal(blocks.length, 1, `one program in ${language}`);
  return blocks[0][1];
}

async function outcomeOf(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  try {
    const code = await within(ended, 60_000, `the end of ${command}`);
    return { code, output };
  } finally {
    child.kill('SIGKILL');
  }
}

describe('The programs of docs/protocol.md', { timeout: 180_000 }, () => {
  let server;
  let directory;
  before(async () => {
    server = await Server.start();
    directory = temporaryDirectory();
  });
  after(async () => server?.stop());

  test('Node', async () => {
    const folder = join(directory, 'node');
    mkdirSync(folder);
    symlinkSync(modules, join(folder, 'node_modules'));
    writeFileSync(join(folder, 'client.mjs'), program('js'));
    const { code, output } = await outcomeOf(process.execPath, [join(folder, 'client.mjs'), server.url]);
    assert.equal(code, 0, output);
    assert.match(output, /phone-1 [-0-9a-f]{36} \{ ciphertext: '...' \}/);
    assert.match(output, /\{ removed: 1, remaining: 0 \}/);
  });

  test('Python', async () => {
    const file = join(directory, 'client.py');
    writeFileSync(file, program('python'));
    const python = process.env.MPR_PYTHON ?? 'python3';
    const { code, output } = await outcomeOf(python, [file, server.url]);
    assert.doesNotMatch(
      output,
      /No module named 'websockets'/,
      'python3-websockets (Debian), or websockets (pip), is not installed',
    );
    assert.equal(code, 0, output);
    assert.match(output, /\{'removed': 1, 'remaining': 0\}/);
  });
});
