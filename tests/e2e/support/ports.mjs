// Ports of the loopback interface for servers that are killed and started again in place: below those
// that the kernel gives out by itself, and each test process has a stretch of its own, so that nobody
// takes one in between.

import { createServer } from 'node:net';

const lowest = 10_240;
const stretch = 320;
const stretches = 68;
let claimed;
let given = 0;

export async function ownPort() {
  claimed ??= claim();
  const first = await claimed;
  for (let attempt = 1; attempt < stretch; attempt += 1) {
    given = (given % (stretch - 1)) + 1;
    const port = await bindable(first + given);
    if (port !== 0) return port;
  }
  throw new Error(`no free port from ${first} to ${first + stretch - 1}`);
}

// The first port of a stretch is listened on for as long as this process lives: it is nobody else's.
async function claim() {
  for (let n = 0; n < stretches; n += 1) {
    const first = lowest + ((process.pid + n) % stretches) * stretch;
    const claims = await listening(first);
    if (claims) {
      claims.unref();
      return first;
    }
  }
  throw new Error(`other processes have all ports from ${lowest} on`);
}

function listening(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

// The port, or the one that the kernel chose for 0; 0 when somebody has it.
export async function bindable(wanted) {
  const probe = await listening(wanted);
  if (!probe) return 0;
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
