import assert from 'node:assert/strict';
import { test } from 'node:test';

import { HandedOver } from '../../dist/esm/repository/handed_over.js';

const session = { connectionId: 'c1', sessionId: 's1' };

test('a message of a former connection is a repetition until its acknowledgement is overdue', () => {
  const subject = new HandedOver();
  const outcomes = [
    [1, 0],
    [1, 10],
    [2, 14_000],
    [3, 15_020],
    [4, 15_030],
  ].map(([connection, at]) => subject.isRepetition(session, 'm1', { connection, at }));
  assert.deepEqual(outcomes, [false, false, true, false, true]);
});

test('what was acknowledged, or belongs to a session that is over, is no repetition', () => {
  const subject = new HandedOver();
  const first = { connection: 1, at: 0 };
  const later = { connection: 2, at: 1 };
  for (const id of ['m1', 'm2', 'm3']) subject.isRepetition(session, id, first);
  subject.forget('c1', ['m1', 'unknown']);
  subject.forget('unknown', ['m1']);
  assert.equal(subject.isRepetition(session, 'm1', later), false);
  assert.equal(subject.isRepetition(session, 'm2', later), true);
  assert.equal(subject.isRepetition({ ...session, sessionId: 's2' }, 'm2', later), false);
  subject.isRepetition(session, 'm3', first);
  subject.end('c1');
  assert.equal(subject.isRepetition(session, 'm3', later), false);
});

test('what it remembers is bounded', () => {
  const subject = new HandedOver();
  for (let n = 0; n <= 1000; n += 1) subject.isRepetition(session, `m${n}`, { connection: 1, at: 0 });
  assert.equal(subject.isRepetition(session, 'm1000', { connection: 2, at: 1 }), true);
  assert.equal(subject.isRepetition(session, 'm0', { connection: 2, at: 1 }), false);
});
