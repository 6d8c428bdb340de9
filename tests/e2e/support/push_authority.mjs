// A certificate authority for one test run, and a certificate for 127.0.0.1 that it vouches for.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryDirectory } from './server.mjs';

function openssl(directory, ...args) {
  try {
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  } catch (error) {
    if (error.code === 'ENOENT') throw new Error('openssl is missing: install the package openssl');
    throw new Error(`openssl ${args.join(' ')}: ${error.stderr}`);
  }
}

let made;

// {caFile, key, cert}
export function authority() {
  if (made) return made;
  const directory = temporaryDirectory();
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl(directory, 'req', '-x509', ...curve, '-subj', '/CN=mpr test authority', '-keyout',
    'ca.key', '-out', 'ca.pem');
  openssl(directory, 'req', '-new', ...curve.slice(0, 5), '-subj', '/CN=127.0.0.1', '-keyout',
    'server.key', '-out', 'server.csr');
  writeFileSync(join(directory, 'names'), 'subjectAltName=IP:127.0.0.1\n');
  openssl(directory, 'x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key',
    '-CAcreateserial', '-days', '2', '-extfile', 'names', '-out', 'server.pem');
  made = {
    caFile: join(directory, 'ca.pem'),
    key: readFileSync(join(directory, 'server.key')),
    cert: readFileSync(join(directory, 'server.pem')),
  };
  return made;
}
