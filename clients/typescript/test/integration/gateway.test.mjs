// The client against real gateways.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { Balancer } from '../../../../examples/mediator/src/balancer.mjs';
import { closeClientsAfterwards, connected, payload } from '../support/fixtures.mjs';
import { archived, gatewayCount, gateways } from '../support/gateways.mjs';
import { until } from '../support/patience.mjs';

const options = { callTimeoutMs: 2000, totalTimeoutMs: 30_000 };

describe('The client and a real gateway', { timeout: 120_000 }, () => {
  let running;
  let mediator;
  let sender;
  before(async () => {
    running = await gateways();
    mediator = await connected({ ...options, url: running.urls });
    sender = await connected({ ...options, url: [...running.urls].reverse() });
  });
  closeClientsAfterwards();
  after(async () => running.stop());

  const add = async (connectionId, text, more = {}) =>
    sender.addMessage({ connectionId, recipientDids: ['did:key:z6MkA'], payload: payload(text), ...more });
  const addMany = async (connectionId, count) => {
    const ids = [];
    for (let n = 0; n < count; n += 1) ids.push(await add(connectionId, `m${n}`));
    return ids;
  };
  const idsOf = (messages) => messages.map(({ id }) => id);

  test('ping', async () => assert.equal(await mediator.ping(), 'pong'));

  test('messages are counted, taken in order and removed', async () => {
    const connectionId = randomUUID();
    const ids = await addMany(connectionId, 12);
    assert.equal(await mediator.getAvailableMessageCount({ connectionId }), 12);
    const messages = await mediator.takeFromQueue({ connectionId, limit: 10 });
    assert.deepEqual(idsOf(messages), ids.slice(0, 10));
    assert.deepEqual(messages[0].encryptedMessage, payload('m0'));
    assert.ok(Math.abs(messages[0].receivedAt.getTime() - Date.now()) < 60_000);
    await mediator.removeMessages({ connectionId, messageIds: idsOf(messages) });
    assert.equal(await mediator.getAvailableMessageCount({ connectionId }), 2);
    await mediator.removeAllMessages({ connectionId });
    assert.equal(await mediator.getAvailableMessageCount({ connectionId }), 0);
  });

  test('a message id that is given twice is stored once', async () => {
    const connectionId = randomUUID();
    assert.equal(await add(connectionId, 'x', { messageId: 'invoice-0001' }), 'invoice-0001');
    assert.equal(await add(connectionId, 'x', { messageId: 'invoice-0001' }), 'invoice-0001');
    assert.equal(await mediator.getAvailableMessageCount({ connectionId }), 1);
  });

  test('the recipient selects', async () => {
    const connectionId = randomUUID();
    await add(connectionId, 'a', { recipientDids: ['did:key:a'] });
    const id = await add(connectionId, 'b', { recipientDids: ['did:key:b'] });
    assert.deepEqual(idsOf(await mediator.takeFromQueue({ connectionId, recipientDid: 'did:key:b' })), [id]);
  });

  if (gatewayCount === 2) {
    test('messages that moved to the database come before those that did not', async () => {
      const connectionId = randomUUID();
      const before = await archived(running.server);
      const ids = await addMany(connectionId, 12);
      await until(async () => (await archived(running.server)) >= before + 12, 'the database has them');
      ids.push(...(await addMany(connectionId, 3)));
      assert.equal(await mediator.getAvailableMessageCount({ connectionId }), 15);
      assert.deepEqual(idsOf(await mediator.takeFromQueue({ connectionId })), ids);
      await mediator.removeMessages({ connectionId, messageIds: ids.slice(0, 14) });
      assert.deepEqual(idsOf(await mediator.takeFromQueue({ connectionId })), ids.slice(14));
    });
  }

  for (const deletion of ['afterReceipt', 'atomic']) {
    test(`deleting takes (${deletion}) return everything once and end`, async () => {
      const client = await connected({ ...options, url: running.urls, deletion });
      const connectionId = randomUUID();
      const ids = await addMany(connectionId, 25);
      const received = [];
      for (;;) {
        const batch = await client.takeFromQueue({ connectionId, limit: 10, deleteMessages: true });
        if (batch.length === 0) break;
        received.push(...idsOf(batch));
      }
      assert.deepEqual(received, ids);
      assert.equal(await client.getAvailableMessageCount({ connectionId }), 0);
    });
  }

  test('maxReceiveBytes of the connection info bounds a take', async () => {
    const client = await connected({ ...options, url: running.urls });
    const connectionId = randomUUID();
    await addMany(connectionId, 5);
    const { totalBytes } = await client.getQueueStatus({ connectionId });
    client.setConnectionInfo(async () => ({ maxReceiveBytes: Math.floor((totalBytes / 5) * 2.5) }));
    assert.equal((await client.takeFromQueue({ connectionId })).length, 2);
  });

  test('push tokens with and without text, and of unknown kinds, cost no message', async () => {
    const connectionId = randomUUID();
    for (const pushNotificationToken of [
      { type: 'fcm', token: 'token-of-a-phone' },
      { type: 'fcm' },
      { type: 'carrier-pigeon', token: 'x' },
    ]) {
      await add(connectionId, 'x', { pushNotificationToken });
    }
    assert.equal(await mediator.getAvailableMessageCount({ connectionId }), 3);
  });

  test('status and acknowledgement', async () => {
    const connectionId = randomUUID();
    const [first] = await addMany(connectionId, 2);
    const status = await mediator.getQueueStatus({ connectionId });
    assert.deepEqual(
      [status.messageCount, status.inFlight, status.liveDelivery],
      [2, 0, false],
    );
    assert.ok(status.oldestReceivedTime instanceof Date);
    assert.deepEqual(await mediator.acknowledge({ connectionId, messageIds: [first, 'no-such-id'] }), {
      removed: 1,
      remaining: 1,
    });
  });

  test('live: an event, in flight until acknowledged', async () => {
    const connectionId = randomUUID();
    const received = [];
    mediator.messagesReceived((event) => received.push(event));
    assert.equal(await mediator.getLiveSession({ connectionId }), false);
    assert.equal(await mediator.addLiveSession({ connectionId, sessionId: 's1' }), true);
    assert.equal(await sender.getLiveSession({ connectionId }), true);
    const id = await add(connectionId, 'live');
    await until(() => received.length === 1, 'the event');
    assert.equal(received[0].connectionId, connectionId);
    assert.deepEqual(idsOf(received[0].messages), [id]);
    assert.equal(await mediator.getAvailableMessageCount({ connectionId }), 0);
    await mediator.removeMessages({ connectionId, messageIds: [id] });
    assert.equal(await mediator.removeLiveSession({ connectionId }), true);
    assert.equal(await mediator.removeLiveSession({ connectionId }), false);
  });

  test('the newest session wins, the former holder hears of it and does not take it back', async () => {
    const connectionId = randomUUID();
    const one = await connected({ ...options, url: running.urls });
    const other = await connected({ ...options, url: running.urls });
    const replaced = [];
    const received = [];
    one.liveSessionReplaced((event) => replaced.push(event));
    one.messagesReceived(() => received.push('one'));
    other.messagesReceived(() => received.push('other'));
    await one.addLiveSession({ connectionId, sessionId: 's1' });
    await other.addLiveSession({ connectionId, sessionId: 's2' });
    await until(() => replaced.length === 1, 'the event');
    assert.deepEqual(replaced, [{ connectionId, sessionId: 's1' }]);
    assert.equal(await one.removeLiveSession({ connectionId, sessionId: 's1' }), false);
    await add(connectionId, 'x');
    await until(() => received.length > 0, 'the message');
    assert.deepEqual(received, ['other']);
  });

  test('a session whose phone moved on while the client was cut off is not taken back', async () => {
    const connectionId = randomUUID();
    const cable = await Balancer.start();
    try {
      cable.useTargets(new URL(running.urls[0]).port);
      const one = await connected({ ...options, url: `ws://127.0.0.1:${cable.port}` });
      const other = await connected({ ...options, url: [...running.urls].reverse() });
      const replaced = [];
      const received = [];
      one.liveSessionReplaced((event) => replaced.push(event));
      one.messagesReceived(() => received.push('one'));
      other.messagesReceived(() => received.push('other'));
      await one.addLiveSession({ connectionId, sessionId: 's1' });
      cable.useTargets();
      cable.cut();
      await until(() => one.connectionState === 'reconnecting', 'the loss');
      await other.addLiveSession({ connectionId, sessionId: 's2' });
      cable.useTargets(new URL(running.urls[0]).port);
      await until(() => replaced.length === 1, 'the word that the phone has moved on');
      assert.deepEqual(replaced, [{ connectionId, sessionId: 's1' }]);
      await add(connectionId, 'x');
      await until(() => received.length > 0, 'the message');
      assert.deepEqual(received, ['other']);
      await one.disconnect();
    } finally {
      await cable.stop();
    }
  });

  test('what is wrong is a typed error, and the connection lives on', async () => {
    await assert.rejects(mediator.getAvailableMessageCount({ connectionId: '' }), {
      name: 'InvalidParametersError',
      code: -32602,
      details: /^connectionId: /,
    });
    await assert.rejects(mediator.getAvailableMessageCount({ connectionId: { $ne: null } }), {
      name: 'InvalidParametersError',
    });
    assert.equal(await mediator.ping(), 'pong');
  });

  test('disconnect ends the live sessions at once', async () => {
    const connectionId = randomUUID();
    const client = await connected({ ...options, url: running.urls });
    await client.addLiveSession({ connectionId, sessionId: 's1' });
    await client.disconnect();
    assert.equal(await mediator.getLiveSession({ connectionId }), false);
  });
});
