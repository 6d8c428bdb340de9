// The adapter against the interface, with the context of a real Credo 0.6 agent.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { CredoQueueTransportRepository } from 'message-pickup-repository-client';

import { Server } from '../support/gateways.mjs';
import { newMediator } from './support/agents.mjs';

const payload = { protected: 'eyJhbGciOiJFQ0RILUVTIn0', iv: 'aXY', ciphertext: 'Y3Q', tag: 'dGFn' };

describe('CredoQueueTransportRepository', { timeout: 120_000 }, () => {
  let server;
  let mediator;
  before(async () => {
    server = await Server.start();
    mediator = await newMediator({ urls: server.urls });
  });
  after(async () => {
    await mediator?.stop();
    await server?.stop();
  });

  test('does what InMemoryQueueTransportRepository does', async () => {
    const queue = new CredoQueueTransportRepository(mediator.repository);
    const { context } = mediator.agent;
    const connectionId = randomUUID();
    const receivedAt = new Date('2026-01-31T12:00:00.000Z');
    const first = await queue.addMessage(context, {
      connectionId,
      recipientDids: ['did:key:a'],
      payload,
      receivedAt,
    });
    const second = await queue.addMessage(context, { connectionId, recipientDids: ['did:key:b'], payload });
    assert.equal(await queue.getAvailableMessageCount(context, { connectionId }), 2);
    assert.equal(
      await queue.getAvailableMessageCount(context, { connectionId, recipientDid: 'did:key:b' }),
      1,
    );
    const [message] = await queue.takeFromQueue(context, { connectionId, limit: 1 });
    assert.deepEqual(message, { id: first, receivedAt, encryptedMessage: payload });
    assert.equal(await queue.removeMessages(context, { connectionId, messageIds: [first] }), undefined);
    const rest = await queue.takeFromQueue(context, { connectionId, deleteMessages: true });
    assert.deepEqual(
      rest.map(({ id, receivedAt: at }) => [id, at instanceof Date]),
      [[second, true]],
    );
    assert.deepEqual(await queue.takeFromQueue(context, { connectionId }), []);
  });
});
