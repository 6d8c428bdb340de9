/**
 * Client of the Message Pickup Repository, with adapters for Credo.
 *
 * @packageDocumentation
 */

export type { ClientLogger } from './logging.js';
export type { TlsOptions } from './transport/gateway_socket.js';
export type { TokenSource } from './transport/link.js';
export {
  CallTimeoutError,
  ConnectionError,
  DeadlineExceededError,
  InvalidParametersError,
  MessageTooLargeError,
  NotConnectedError,
  QueueFullError,
  QuotaExceededError,
  RemoteError,
  RepositoryError,
  ServiceUnavailableError,
  UnauthorizedError,
  UnexpectedAnswerError,
} from './rpc/errors.js';
export type { MessagePickupRepositoryClientOptions } from './repository/options.js';
export { MessagePickupRepositoryClient } from './repository/message_pickup_repository_client.js';
export type * from './repository/types.js';
export {
  type CredoAddMessageOptions,
  type CredoAgentContext,
  type CredoMessageCountOptions,
  type CredoQueuedMessage,
  CredoQueueTransportRepository,
  type CredoRemoveMessagesOptions,
  type CredoTakeFromQueueOptions,
} from './credo/queue_transport_repository.js';
export {
  type CredoAgent,
  type CredoLiveSessionEvent,
  type CredoMessagePickupApi,
  joinLiveSessions,
  type LiveSessionOptions,
} from './credo/live_sessions.js';
