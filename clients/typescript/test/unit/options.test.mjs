import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import * as esm from '../../dist/esm/index.js';

const { MessagePickupRepositoryClient } = esm;

const wrong = [
  ['no address', { url: [] }, /^url: at least one address/],
  ['an empty address', { url: '' }, /^url: address 1 must begin/],
  ['an http address', { url: ['ws://a', 'http://b'] }, /^url: address 2 must begin/],
  ['a time of 0', { url: 'ws://a', callTimeoutMs: 0 }, /^callTimeoutMs: /],
  ['a bound that is no number', { url: 'ws://a', maxQueuedCalls: Number.NaN }, /^maxQueuedCalls: /],
];

for (const [what, options, message] of wrong) {
  test(`${what} is refused with its name`, () => {
    assert.throws(() => new MessagePickupRepositoryClient(options), { name: 'TypeError', message });
  });
}

test('the constructor does not connect, and calls before connect() fail at once', async () => {
  const client = new MessagePickupRepositoryClient({ url: 'ws://127.0.0.1:1' });
  assert.equal(client.connectionState, 'disconnected');
  await assert.rejects(client.ping(), { name: 'NotConnectedError' });
  await client.disconnect();
});

test('a client has a name that is its own', () => {
  const one = new MessagePickupRepositoryClient({ url: 'ws://a' });
  const other = new MessagePickupRepositoryClient({ url: 'ws://a' });
  assert.notEqual(one.clientId, other.clientId);
  assert.equal(new MessagePickupRepositoryClient({ url: 'ws://a', clientId: 'm1' }).clientId, 'm1');
});

test('require and import give the same names', () => {
  const cjs = createRequire(import.meta.url)('../../dist/cjs/index.js');
  assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
});
