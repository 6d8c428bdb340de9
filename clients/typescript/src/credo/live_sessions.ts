/**
 * Joins a Credo agent and the client: what the agent says of live sessions goes to the repository,
 * and what the repository brings for them goes to the phones. Works with Credo 0.5, 0.6 and 0.7;
 * imports nothing of them.
 */

import { causeOf, type ClientLogger, silentLogger } from '../logging.js';
import type { MessagePickupRepositoryClient } from '../repository/message_pickup_repository_client.js';
import type { MessagesReceivedEvent } from '../repository/types.js';

/** What is needed of Credo's events about live sessions. */
export interface CredoLiveSessionEvent {
  type: string;
  payload: { session: { id: string; connectionId: string; role: string } };
  metadata: { contextCorrelationId: string };
}

/** What is needed of Credo's message pickup API. */
export interface CredoMessagePickupApi {
  getLiveModeSession(options: { connectionId: string }): Promise<{ id: string } | undefined>;
  deliverMessages(options: {
    pickupSessionId: string;
    messages: MessagesReceivedEvent['messages'] & { receivedAt: Date }[];
  }): Promise<void>;
}

/** What is needed of Credo's Agent. */
export interface CredoAgent {
  readonly events: {
    on(type: string, listener: (event: CredoLiveSessionEvent) => void): void;
    off(type: string, listener: (event: CredoLiveSessionEvent) => void): void;
  };
  readonly context: { readonly contextCorrelationId: string };
}

export interface LiveSessionOptions {
  /** Where failures are written; the agent's logger fits. Silent unless given. */
  logger?: ClientLogger;
  /**
   * For agents with tenants: calls `use` with the message pickup API of the tenant that this
   * correlation id names. Without it, sessions of tenants are served by the agent itself.
   */
  withTenant?: (
    contextCorrelationId: string,
    use: (messagePickup: CredoMessagePickupApi) => Promise<void>,
  ) => Promise<void>;
}

// Credo 0.5 and Credo 0.6 name the same two events differently.
const savedEvents = ['LiveSessionSaved', 'DidCommMessagePickupLiveSessionSaved'];
const removedEvents = ['LiveSessionRemoved', 'DidCommMessagePickupLiveSessionRemoved'];
const holder = 'MessageHolder';

/**
 * Call it once, before phones connect; it sets the client's messagesReceived callback. Returns a
 * function that takes the agent and the client apart again.
 *
 * @example
 * ```ts
 * const stop = joinLiveSessions(agent, agent.messagePickup, client);           // Credo 0.5
 * const stop = joinLiveSessions(agent, agent.didcomm.messagePickup, client);   // Credo 0.6, 0.7
 * ```
 */
export function joinLiveSessions(
  agent: CredoAgent,
  messagePickup: CredoMessagePickupApi,
  client: MessagePickupRepositoryClient,
  { logger = silentLogger, withTenant }: LiveSessionOptions = {},
): () => void {
  // Which tenant a connection belongs to, while it has a session.
  const tenants = new Map<string, string>();

  const saved = ({ payload: { session }, metadata }: CredoLiveSessionEvent): void => {
    if (session.role !== holder) return;
    tenants.set(session.connectionId, metadata.contextCorrelationId);
    const params = { connectionId: session.connectionId, sessionId: session.id };
    client.addLiveSession(params).catch((error: unknown) => {
      logger.error('Could not open a live session', { ...params, cause: causeOf(error) });
    });
  };

  const removed = ({ payload: { session } }: CredoLiveSessionEvent): void => {
    if (session.role !== holder) return;
    tenants.delete(session.connectionId);
    const params = { connectionId: session.connectionId, sessionId: session.id };
    client.removeLiveSession(params).catch((error: unknown) => {
      logger.error('Could not end a live session', { ...params, cause: causeOf(error) });
    });
  };

  const deliver = async ({ connectionId, messages }: MessagesReceivedEvent): Promise<void> => {
    const use = async (api: CredoMessagePickupApi): Promise<void> => {
      const session = await api.getLiveModeSession({ connectionId });
      if (!session) {
        // The phone is at another mediator, or has just gone: the messages stay in the queue.
        logger.debug('Messages came for a phone that is not here', { connectionId });
        return;
      }
      const dated = messages.map((message) => ({ ...message, receivedAt: message.receivedAt ?? new Date() }));
      await api.deliverMessages({ pickupSessionId: session.id, messages: dated });
    };
    const tenant = tenants.get(connectionId);
    if (!withTenant || tenant === undefined || tenant === agent.context.contextCorrelationId) {
      await use(messagePickup);
    } else {
      await withTenant(tenant, use);
    }
  };

  for (const type of savedEvents) agent.events.on(type, saved);
  for (const type of removedEvents) agent.events.on(type, removed);
  client.messagesReceived(deliver);
  return () => {
    for (const type of savedEvents) agent.events.off(type, saved);
    for (const type of removedEvents) agent.events.off(type, removed);
    client.messagesReceived(() => undefined);
  };
}
