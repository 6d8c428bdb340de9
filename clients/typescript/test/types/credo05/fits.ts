// The client is Credo 0.5's MessagePickupRepository, also in code written for the client of today.

import type { Agent, EncryptedMessage, Logger, MessagePickupRepository, QueuedMessage } from '@credo-ts/core';
import {
  type ConnectionInfo,
  joinLiveSessions,
  MessagePickupRepositoryClient,
} from 'message-pickup-repository-client';

declare const agent: Agent;
declare const logger: Logger;
declare const payload: EncryptedMessage;

export const client = new MessagePickupRepositoryClient({ url: 'ws://localhost:3100' });
export const withLogger = new MessagePickupRepositoryClient({ url: 'ws://localhost:3100', logger });
export const repository: MessagePickupRepository = client;
export const stop: () => void = joinLiveSessions(agent, agent.messagePickup, client, { logger });

client.messagesReceived(async (data: { connectionId: string; messages: QueuedMessage[] }) => {
  const session = await agent.messagePickup.getLiveModeSession({ connectionId: data.connectionId });
  if (session) {
    await agent.messagePickup.deliverMessages({ pickupSessionId: session.id, messages: data.messages });
  }
});
client.setConnectionInfo(async (connectionId: string): Promise<ConnectionInfo | undefined> => {
  return connectionId === '' ? undefined : { maxReceiveBytes: 1, pushNotificationToken: { type: 'fcm' } };
});

export async function calls(): Promise<void> {
  const connectionId = 'c1';
  const taken: QueuedMessage[] = await client.takeFromQueue({ connectionId, limitBytes: 1 });
  const count: number = await client.getAvailableMessageCount({ connectionId, recipientDid: 'did:key:a' });
  const id: string = await client.addMessage({
    connectionId,
    recipientDids: [],
    payload,
    pushNotificationToken: { type: 'fcm', token: 't' },
  });
  const nothing: undefined | void = await client.removeMessages({ connectionId, messageIds: [id] });
  await client.removeAllMessages({ connectionId, recipientDid: 'did:key:a' });
  const flags: boolean[] = [
    await client.getLiveSession({ connectionId }),
    await client.addLiveSession({ connectionId, sessionId: 's1' }),
    await client.removeLiveSession({ connectionId }),
  ];
  const pong: string = await client.ping();
  logger.info(pong, { taken, count, nothing, flags });
}
