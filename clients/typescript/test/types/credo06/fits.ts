// The adapter is Credo 0.6's DidCommQueueTransportRepository, and takes the context and the events of
// Credo 0.7.

import type { Agent, AgentContext, Logger } from '@credo-ts/core';
import type {
  DidCommMessagePickupApi,
  DidCommMessagePickupLiveSessionSavedEvent,
  DidCommQueueTransportRepository,
  QueuedDidCommMessage,
} from '@credo-ts/didcomm';
import type { Agent as Agent07, AgentContext as AgentContext07, Logger as Logger07 } from 'credo-core-07';
import {
  type CredoLiveSessionEvent,
  CredoQueueTransportRepository,
  joinLiveSessions,
  MessagePickupRepositoryClient,
} from 'message-pickup-repository-client';

declare const agent: Agent;
declare const agent07: Agent07;
declare const context: AgentContext;
declare const context07: AgentContext07;
declare const logger: Logger;
declare const logger07: Logger07;
declare const messagePickup: DidCommMessagePickupApi;
declare const event: DidCommMessagePickupLiveSessionSavedEvent;

const client = new MessagePickupRepositoryClient({ url: 'ws://localhost:3100', logger: logger07 });
export const queue: DidCommQueueTransportRepository = new CredoQueueTransportRepository(client);
export const same: CredoLiveSessionEvent = event;
export const stop = joinLiveSessions(agent, messagePickup, client, { logger });
export const stop07 = joinLiveSessions(agent07, messagePickup, client, { logger: logger07 });

export async function calls(): Promise<QueuedDidCommMessage[]> {
  const adapter = new CredoQueueTransportRepository(client);
  await adapter.removeMessages(context07, { connectionId: 'c1', messageIds: [] });
  return adapter.takeFromQueue(context, { connectionId: 'c1', limit: 10 });
}
