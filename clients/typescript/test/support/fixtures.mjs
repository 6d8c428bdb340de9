// What the tests of the client share: clients with short times, loggers that remember, payloads.

import { after } from 'node:test';

import { MessagePickupRepositoryClient } from '../../dist/esm/index.js';
import { ScriptedGateway } from './scripted_gateway.mjs';

export const quick = {
  callTimeoutMs: 500,
  totalTimeoutMs: 8000,
  reconnectBaseMs: 10,
  reconnectCapMs: 50,
  connectTimeoutMs: 1000,
};

const clients = new Set();

// Clients and gateways that a failed test left behind must not keep the process from ending.
export function closeClientsAfterwards() {
  after(async () => {
    await Promise.all([...clients].map((client) => client.disconnect()));
    clients.clear();
    await ScriptedGateway.stopAll();
  });
}

export function newClient(options) {
  const client = new MessagePickupRepositoryClient({ ...quick, ...options });
  clients.add(client);
  return client;
}

export async function connected(options) {
  const client = newClient(options);
  await client.connect();
  return client;
}

export class RememberingLogger {
  lines = [];
  debug = (message, data) => this.lines.push({ level: 'debug', message, data });
  info = (message, data) => this.lines.push({ level: 'info', message, data });
  warn = (message, data) => this.lines.push({ level: 'warn', message, data });
  error = (message, data) => this.lines.push({ level: 'error', message, data });

  find(level, part) {
    return this.lines.find((line) => line.level === level && line.message.includes(part));
  }
}

export function payload(text) {
  return { protected: 'eyJhbGciOiJFQ0RILUVTIn0', iv: 'aXY', ciphertext: text, tag: 'dGFn' };
}

export function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
