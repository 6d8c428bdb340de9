// The clients that mediators use, side by side.

import { createRequire } from 'node:module';

import { within } from './wait.mjs';

const require = createRequire(import.meta.url);

export const clients = ['7', '9', '10'].map((major) => ({
  name: `rpc-websockets ${major}`,
  Client: require(`rpc-websockets-${major}`).Client,
}));

// The existing TypeScript client gives up after this long.
export const callTimeout = 2000;

export async function connect({ Client }, url, options = {}) {
  const client = new Client(url, options);
  client.on('error', () => {});
  await within(new Promise((resolve) => client.once('open', resolve)), 5000, 'the client opens');
  return client;
}

export async function disconnect(client) {
  client.setAutoReconnect(false);
  if (!client.ready) return;
  const closed = new Promise((resolve) => client.once('close', resolve));
  client.close();
  await within(closed, 5000, 'the client closes');
}

export function ask(client, method, params) {
  return client.call(method, params, callTimeout);
}
