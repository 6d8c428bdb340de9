// Compiles the mediators of README.md, and what must fit into Credo, against the types of Credo 0.5,
// 0.6 and 0.7 as npm has them.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const readme = readFileSync(`${here}/../../README.md`, 'utf8');
const installed = {
  credo05: `${here}/../../../../examples/mediator/node_modules/@credo-ts/core`,
  credo06: `${here}/../credo06/node_modules/@credo-ts/core`,
};

let failed = 0;
for (const [name, needed] of Object.entries(installed)) {
  if (!existsSync(needed)) throw new Error(`${needed} is missing: npm ci was not run there`);
  const [, code] = new RegExp(`<!-- checked: ${name} -->\n\`\`\`ts\n([^]*?)\`\`\``).exec(readme);
  writeFileSync(`${here}/${name}/readme.ts`, code);
  try {
    execFileSync(process.execPath, [compiler, '-p', `${here}/${name}`], { stdio: 'inherit' });
    console.log(`types: ${name} fits`);
  } catch {
    failed += 1;
  }
}
console.log(`${Object.keys(installed).length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
