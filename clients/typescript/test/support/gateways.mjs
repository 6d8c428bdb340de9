// The gateways that the integration tests run against: real `mpr` processes of our own, one or two that
// share their messages (see tests/e2e/support/backends.mjs), or those that MPR_TEST_GATEWAYS names.

import { gatewayCount } from '../../../../tests/e2e/support/backends.mjs';
import { Server } from '../../../../tests/e2e/support/server.mjs';

export const external = (process.env.MPR_TEST_GATEWAYS ?? '').split(',').filter(Boolean);

// The addresses of gateways that share their messages, and how to stop what was started.
export async function gateways() {
  if (external.length > 0) return { urls: external, stop: async () => {} };
  const server = await Server.start();
  return { urls: server.urls, server, stop: async () => server.stop() };
}

// How many messages have moved to the database.
export async function archived(server) {
  const moved = server.gateways.map(async ({ ports }) => {
    const page = await fetch(`http://127.0.0.1:${ports.app}/metrics`);
    return Number(/^mpr_messages_archived_total (\d+)/m.exec(await page.text())?.[1] ?? 0);
  });
  return (await Promise.all(moved)).reduce((sum, count) => sum + count, 0);
}

export { gatewayCount, Server };
