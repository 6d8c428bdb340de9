// The loops of a Credo mediator and its wallet, as far as the repository sees them. A wallet keeps
// the ids that it received, in order, so that duplicates and losses show.

import { takeIds } from './messages.mjs';

// Pickup v1: batches that are removed as they are returned, until one is empty.
export async function pickupV1(mediator, connectionId, limit = 10) {
  const received = [];
  for (;;) {
    const batch = await takeIds(mediator, { connectionId, limit, deleteMessages: true });
    if (batch.length === 0) return received;
    received.push(...batch);
  }
}

// Pickup v2: status, delivery, messages-received together with the next status, until it is 0.
export async function pickupV2(mediator, connectionId, received = []) {
  let count = await mediator.call('getAvailableMessageCount', { connectionId });
  while (count > 0) {
    const ids = await takeIds(mediator, { connectionId, limit: Math.min(count, 10) });
    received.push(...ids);
    count = await acknowledge(mediator, connectionId, ids);
  }
  return received;
}

// messages-received: the mediator removes and at once counts, without waiting in between.
export async function acknowledge(mediator, connectionId, messageIds) {
  const [, count] = await Promise.all([
    mediator.call('removeMessages', { connectionId, messageIds }),
    mediator.call('getAvailableMessageCount', { connectionId }),
  ]);
  return count;
}

// Live mode: every event is handed to the phone, which acknowledges it and goes on with a v2 loop
// when the status says that there is more. Ends when `total` different ids have come and the loops
// that they started are over.
export class LiveWallet {
  constructor(mediator, connectionId) {
    this.mediator = mediator;
    this.connectionId = connectionId;
    this.received = [];
    this.loops = [];
  }

  async takeUntil(total, milliseconds = 20_000) {
    const end = Date.now() + milliseconds;
    while (new Set(this.received).size < total) {
      const event = await this.mediator.received(Math.max(1, end - Date.now()));
      if (event.connectionId !== this.connectionId) continue;
      const ids = event.messages.map((message) => message.id);
      this.received.push(...ids);
      this.loops.push(this.goOn(ids));
    }
    await Promise.all(this.loops);
  }

  async goOn(ids) {
    const count = await acknowledge(this.mediator, this.connectionId, ids);
    if (count > 0) await pickupV2(this.mediator, this.connectionId, this.received);
  }
}
