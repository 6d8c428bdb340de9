// Real Credo agents over a healthy gateway: every way in which a phone gets its messages.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { MediatorPickupStrategy, MessageForwardingStrategy } from '../src/credo.mjs';
import { until, World } from './support/world.mjs';

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
      await phone.write(23);
      assert.deepEqual(phone.received, []);
      await phone.wake();
      await phone.complete();
      await phone.write(10);
      await phone.complete();
      phone.assertEachOnce();
      await phone.drained();
    });

    for (const strategy of ['PickUpV1', 'PickUpV2']) {
      test(`polling with ${strategy}`, async () => {
        const phone = await world.newPhone({ strategy: MediatorPickupStrategy[strategy] });
        await phone.write(23);
        await phone.complete();
        await phone.drained();
        phone.assertNothingLost();
        // Without a live session, polls that overlap, at two instances even, may bring a message twice.
        const twice = phone.received.length - phone.texts.length;
        if (twice > 0) console.log(`${strategy}: ${twice} of ${phone.texts.length} came twice`);
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
      await until(() => world.liveAt(world.b) > before, 'a session at the other mediator', 10_000);
      world.route(world.a);
      await phone.write(5);
      await phone.complete();
      await phone.drained();
      phone.assertEachOnce();
    });
  });
}
