/**
 * The repository as Credo 0.6 and 0.7 want it: the four methods with the agent's context first.
 * It holds no state of its own and imports nothing of Credo; its types fit by their structure.
 */

import type { MessagePickupRepositoryClient } from '../repository/message_pickup_repository_client.js';
import type { EncryptedMessage } from '../repository/types.js';

/** What the adapter needs of Credo's AgentContext. */
export interface CredoAgentContext {
  readonly contextCorrelationId: string;
}

export interface CredoAddMessageOptions {
  connectionId: string;
  recipientDids: string[];
  payload: EncryptedMessage;
  receivedAt?: Date | undefined;
}

export interface CredoTakeFromQueueOptions {
  connectionId: string;
  recipientDid?: string | undefined;
  limit?: number | undefined;
  deleteMessages?: boolean | undefined;
}

export interface CredoMessageCountOptions {
  connectionId: string;
  recipientDid?: string | undefined;
}

export interface CredoRemoveMessagesOptions {
  connectionId: string;
  messageIds: string[];
}

export interface CredoQueuedMessage {
  id: string;
  receivedAt: Date;
  encryptedMessage: EncryptedMessage;
}

/**
 * Fits `DidCommQueueTransportRepository` of `@credo-ts/didcomm`.
 *
 * @example
 * ```ts
 * const client = new MessagePickupRepositoryClient({ url: 'ws://127.0.0.1:3100' });
 * new DidCommModule({ queueTransportRepository: new CredoQueueTransportRepository(client) });
 * ```
 */
export class CredoQueueTransportRepository {
  constructor(readonly client: MessagePickupRepositoryClient) {}

  async getAvailableMessageCount(
    _agentContext: CredoAgentContext,
    { connectionId, recipientDid }: CredoMessageCountOptions,
  ): Promise<number> {
    return this.client.getAvailableMessageCount({
      connectionId,
      ...(recipientDid === undefined ? {} : { recipientDid }),
    });
  }

  async takeFromQueue(
    _agentContext: CredoAgentContext,
    { connectionId, recipientDid, limit, deleteMessages }: CredoTakeFromQueueOptions,
  ): Promise<CredoQueuedMessage[]> {
    const messages = await this.client.takeFromQueue({
      connectionId,
      ...(recipientDid === undefined ? {} : { recipientDid }),
      ...(limit === undefined ? {} : { limit }),
      ...(deleteMessages === undefined ? {} : { deleteMessages }),
    });
    return messages.map(({ id, receivedAt, encryptedMessage }) => ({
      id,
      receivedAt: receivedAt ?? new Date(),
      encryptedMessage,
    }));
  }

  async addMessage(
    _agentContext: CredoAgentContext,
    { connectionId, recipientDids, payload, receivedAt }: CredoAddMessageOptions,
  ): Promise<string> {
    return this.client.addMessage({
      connectionId,
      recipientDids,
      payload,
      ...(receivedAt === undefined ? {} : { receivedAt }),
    });
  }

  async removeMessages(
    _agentContext: CredoAgentContext,
    { connectionId, messageIds }: CredoRemoveMessagesOptions,
  ): Promise<void> {
    await this.client.removeMessages({ connectionId, messageIds });
  }
}
