// Phones that can be woken, as their mediator's calls see them.

import { randomBytes } from 'node:crypto';

import { add, newConnection } from './messages.mjs';
import { until } from './wait.mjs';

export class Phone {
  constructor(type, more = {}) {
    this.type = type;
    this.more = more;
    this.connectionId = newConnection('phone');
    this.token =
      type === 'apns'
        ? randomBytes(32).toString('hex')
        : `${randomBytes(16).toString('hex')}:APA91b-${randomBytes(60).toString('base64url')}`;
  }

  get pushNotificationToken() {
    return { type: this.type, token: this.token, ...this.more };
  }

  // A message for this phone, with its token.
  async message(socket, n = 0) {
    const receipt = await add(socket, this.connectionId, n, {
      pushNotificationToken: this.pushNotificationToken,
    });
    return receipt.messageId;
  }

  // Everything that waits is fetched and acknowledged, as after a wake-up.
  async pickUp(socket) {
    const { connectionId } = this;
    const messages = await socket.call('takeFromQueue', { connectionId, limit: 1000 });
    await socket.call('removeMessages', {
      connectionId,
      messageIds: messages.map(({ id }) => id),
    });
    return messages.length;
  }
}

// The value of mpr_pushes_total for a provider and a result.
export async function pushCount(server, provider, result) {
  const text = await (await fetch(`${server.opsUrl}/metrics`)).text();
  const line = `mpr_pushes_total{provider="${provider}",result="${result}"} `;
  return Number(text.split('\n').find((other) => other.startsWith(line)).slice(line.length));
}

// Waits until no push is due, planned or under way.
export function pushesSettled(server) {
  return until(
    async () => {
      const text = await (await fetch(`${server.opsUrl}/metrics`)).text();
      return /^mpr_pushes_waiting 0$/m.test(text);
    },
    'no push is due',
    10_000,
  );
}
