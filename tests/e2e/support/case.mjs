// Test cases with a deadline. A failing one prints the end of the log of each running server.

import { test } from 'node:test';

import { backend } from './backends.mjs';
import { Server } from './server.mjs';

const deadline = 60_000;

// `embeddedOnly` is the reason why a case says nothing about a store on other servers.
export function check(name, body, { timeout = deadline, embeddedOnly = undefined } = {}) {
  const skip = backend !== 'embedded' && embeddedOnly ? `embedded only: ${embeddedOnly}` : false;
  return test(name, { timeout, skip }, async (t) => {
    try {
      await body(t);
    } catch (error) {
      for (const server of Server.running) t.diagnostic(`log of mpr:\n${server.tail()}`);
      throw error;
    }
  });
}

// A case with a server of its own, started with `options` and stopped (exit code 0) behind it.
export function checkWithServer(name, options, body, caseOptions) {
  return check(
    name,
    async (t) => {
      const server = await Server.start(options);
      try {
        await body(server, t);
        await server.stop();
      } catch (error) {
        t.diagnostic(`log of mpr:\n${server.tail()}`);
        throw error;
      } finally {
        if (Server.running.has(server)) await server.kill();
      }
    },
    caseOptions,
  );
}
