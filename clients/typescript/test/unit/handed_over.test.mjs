import assert from 'node:assert/strict';
import { test } from 'node:test';

import { HandedOver } from '../../dist/esm/repository/handed_over.js';

const session = { connectionId: 'c1', sessionId: 's1' };

test('a message is a repetition until its acknowledgement is overdue', () => {
  const subject = new HandedOver();
  const outcomes = [0, 10, 13_000, 14_010, 14_020].map((at) =>
    subject.isRepetition(session, 'm1', at),
  );
  assert.deepEqual(outcomes, [false, true, true, false, true]);
});

test('what was acknowledged, or belongs to a session that is over, is no repetition', () => {
  const subject = new HandedOver();
  const first = 0;
  const later = 1;
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
  for (let n = 0; n <= 1000; n += 1) subject.isRepetition(session, `m${n}`, 0);
  assert.equal(subject.isRepetition(session, 'm1000', 1), true);
  assert.equal(subject.isRepetition(session, 'm0', 1), false);
});
