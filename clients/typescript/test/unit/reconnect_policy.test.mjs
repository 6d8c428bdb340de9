import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ReconnectPolicy } from '../../dist/esm/transport/reconnect_policy.js';

const times = { baseMs: 100, capMs: 1000, stableMs: 500 };
const most = () => 1;
const least = () => 0;
const policy = (urls, random = most) => new ReconnectPolicy(urls, times, random);

test('the first attempt goes to the first address at once', () => {
  assert.deepEqual(policy(['a', 'b']).first(), { url: 'a', delayMs: 0 });
});

test('a lost connection is followed by the next address at once', () => {
  const subject = policy(['a', 'b']);
  subject.first();
  assert.deepEqual(subject.afterLoss(600), { url: 'b', delayMs: 0 });
  assert.deepEqual(subject.afterLoss(600), { url: 'a', delayMs: 0 });
});

test('every address is tried before the first wait', () => {
  const subject = policy(['a', 'b', 'c']);
  subject.first();
  assert.deepEqual(subject.afterFailure(), { url: 'b', delayMs: 0 });
  assert.deepEqual(subject.afterFailure(), { url: 'c', delayMs: 0 });
  assert.equal(subject.allFailed(), false);
  assert.deepEqual(subject.afterFailure(), { url: 'a', delayMs: 100 });
  assert.equal(subject.allFailed(), true);
});

test('the wait doubles with every round up to its bound, for ever', () => {
  const subject = policy(['a']);
  subject.first();
  const delays = Array.from({ length: 2000 }, () => subject.afterFailure().delayMs);
  assert.deepEqual(delays.slice(0, 5), [100, 200, 400, 800, 1000]);
  assert.ok(delays.slice(4).every((delay) => delay === 1000));
});

test('half of the wait is left to chance', () => {
  assert.equal(policy(['a'], least).afterFailure().delayMs, 50);
  assert.equal(policy(['a'], most).afterFailure().delayMs, 100);
});

test('a connection that lasted starts the waits from the beginning', () => {
  const subject = policy(['a']);
  for (let n = 0; n < 9; n += 1) subject.afterFailure();
  assert.equal(subject.afterLoss(600).delayMs, 0);
  assert.equal(subject.afterFailure().delayMs, 100);
});

test('a gateway that accepts and drops counts as one that fails', () => {
  const subject = policy(['a']);
  subject.first();
  assert.deepEqual(
    [subject.afterLoss(1), subject.afterLoss(1), subject.afterLoss(1)].map(({ delayMs }) => delayMs),
    [100, 200, 400],
  );
});
