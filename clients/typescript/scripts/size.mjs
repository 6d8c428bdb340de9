// Prints what the package weighs, as rows of the table in README.md.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('../dist/esm', import.meta.url));
const files = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith('.js'))
  .map((name) => readFileSync(join(root, name)));
const all = Buffer.concat(files);
const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`;
console.log(`| code | ${kib(all.length)} in ${files.length} modules, ${kib(gzipSync(all).length)} compressed |`);
