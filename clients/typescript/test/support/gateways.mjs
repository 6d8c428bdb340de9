// The gateways that the integration tests run against: one real `mpr` process each, or those that
// MPR_TEST_GATEWAYS names (ws://..,ws://..), which share their messages.

import { Server } from '../../../../tests/e2e/support/server.mjs';

export const external = (process.env.MPR_TEST_GATEWAYS ?? '').split(',').filter(Boolean);

// The addresses of gateways that share their messages, and how to stop what was started.
export async function gateways() {
  if (external.length > 0) return { urls: external, stop: async () => {} };
  const server = await Server.start();
  return { urls: [server.url], server, stop: async () => server.stop() };
}

export { Server };
