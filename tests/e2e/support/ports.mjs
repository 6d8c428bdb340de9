// Ports of the loopback interface for servers that are killed and started again in place: below those
// that the kernel gives out by itself, and each test process has a stretch of its own, so that nobody
// takes one in between.

import { createServer } from 'node:net';

const stretch = 320;
const first = 10_240 + (process.pid % 68) * stretch;
let next = 0;

export async function ownPort() {
  for (let attempt = 0; attempt < stretch; attempt += 1) {
    const port = await bindable(first + next);
    next = (next + 1) % stretch;
    if (port !== 0) return port;
  }
  throw new Error(`no free port from ${first} to ${first + stretch - 1}`);
}

// The port, or the one that the kernel chose for 0; 0 when somebody has it.
export function bindable(wanted) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(0));
    probe.listen(wanted, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
