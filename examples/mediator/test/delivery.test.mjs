// Real Credo agents over a healthy gateway: every way in which a phone gets its messages.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { MediatorPickupStrategy, MessageForwardingStrategy } from '../src/credo.mjs';
import { until, World } from './support/world.mjs';

function tellTwice({ received, texts }, why) {
  const twice = received.length - texts.length;
  if (twice > 0) console.log(`${why}: ${twice} of ${texts.length} came twice`);
}

// Such a phone asks by HTTP at one mediator while its session is at the other. What it takes there is
// not in flight to its session, and what is in flight to that is not known at another gateway: it may
// come once more.
function assertNothingLostAtTwoMediators(phone) {
  phone.assertNothingLost();
  tellTwice(phone, 'two mediators');
}

for (const forwarding of ['QueueOnly', 'QueueAndLiveModeDelivery']) {
  describe(`Two mediators, ${forwarding}`, { timeout: 300_000 }, () => {
    let world;
    before(async () => {
      world = await World.start({ forwarding: MessageForwardingStrategy[forwarding] });
    });
    after(async () => world?.stop());

    test('live: what arrives at one mediator reaches the phone at the other', async () => {
      const phone = await world.newPhone({ at: world.a, through: world.b });
      await phone.write(25);
      await phone.complete();
      phone.assertEachOnce();
      await phone.drained();
    });

    test('live: phone and sender at the same mediator', async () => {
      const phone = await world.newPhone({ at: world.a, through: world.a });
      await phone.write(25);
      await phone.complete();
      phone.assertEachOnce();
      await phone.drained();
    });

    test('offline, then live', async () => {
      const phone = await world.newPhone();
      await phone.sleep();
      await until(() => world.liveAt(world.a) + world.liveAt(world.b) <= 2, 'the end of the session');
      const before = await world.archived();
      await phone.write(23);
      assert.deepEqual(phone.received, []);
      if (before !== undefined) {
        await until(async () => (await world.archived()) >= before + 23, 'the database has them');
      }
      await phone.wake();
      await phone.complete();
      await phone.write(10);
      await phone.complete();
      await phone.drained();
      assertNothingLostAtTwoMediators(phone);
    });

    for (const strategy of ['PickUpV1', 'PickUpV2']) {
      test(`polling with ${strategy}`, async () => {
        const phone = await world.newPhone({ strategy: MediatorPickupStrategy[strategy] });
        await phone.write(23);
        await phone.complete();
        await phone.drained();
        phone.assertNothingLost();
        // Without a live session, polls that overlap, at two instances even, may bring a message twice.
        tellTwice(phone, strategy);
      });
    }

    test('a phone that comes back to the other mediator goes on there', async () => {
      const phone = await world.newPhone({ at: world.a, through: world.b });
      await phone.write(5);
      await phone.complete();
      await phone.drained();
      world.route(world.b);
      const before = world.liveAt(world.b);
      world.a.dropPhones();
      await phone.write(5);
      await until(() => world.liveAt(world.b) > before, 'a session at the other mediator');
      world.route(world.a);
      await phone.write(5);
      await phone.complete();
      await phone.drained();
      assertNothingLostAtTwoMediators(phone);
    });
  });
}
