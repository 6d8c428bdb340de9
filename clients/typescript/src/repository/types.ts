/** What goes into the repository and comes out of it. Credo's own types fit in both directions. */

/** A packed DIDComm message. The repository never looks into it. */
export interface EncryptedMessage {
  protected: string;
  iv: string;
  ciphertext: string;
  tag: string;
}

export interface QueuedMessage {
  id: string;
  /** When the repository, or the one who added the message, received it. */
  receivedAt?: Date;
  encryptedMessage: EncryptedMessage;
}

export interface PushNotificationToken {
  /** `fcm`, `apns` or `webhook`. */
  type: string;
  token?: string;
}

/** What the mediator knows about a connection, asked for with setConnectionInfo. */
export interface ConnectionInfo {
  pushNotificationToken?: PushNotificationToken;
  /** Most payload bytes that the phone takes at once. */
  maxReceiveBytes?: number;
}

export interface AddMessageOptions {
  connectionId: string;
  recipientDids: string[];
  payload: EncryptedMessage;
  pushNotificationToken?: PushNotificationToken;
  /**
   * Your own id for the message; without one, the client makes one. Adding the same id to the same
   * connection again stores nothing.
   */
  messageId?: string;
  /** When you received the message; now, unless said. */
  receivedAt?: Date;
  /** Seconds until the message expires; never, unless said. */
  ttlSeconds?: number;
}

export interface TakeFromQueueOptions {
  connectionId: string;
  recipientDid?: string;
  /** Most messages; all that fit into one answer, unless said. */
  limit?: number;
  /** Most payload bytes; the first message is returned even when it alone is larger. */
  limitBytes?: number;
  /** Whether the messages returned are removed. */
  deleteMessages?: boolean;
}

export interface QueueOptions {
  connectionId: string;
  recipientDid?: string;
}

export interface RemoveMessagesOptions {
  connectionId: string;
  messageIds: string[];
}

export interface ConnectionIdOptions {
  connectionId: string;
}

export interface AddLiveSessionOptions {
  connectionId: string;
  sessionId: string;
}

export interface RemoveLiveSessionOptions {
  connectionId: string;
  /** Only if the session has this id. */
  sessionId?: string;
}

export interface QueueStatus {
  messageCount: number;
  totalBytes: number;
  oldestReceivedTime: Date | undefined;
  newestReceivedTime: Date | undefined;
  longestWaitedSeconds: number | undefined;
  /** Delivered to the live session and not acknowledged; not part of messageCount. */
  inFlight: number;
  liveDelivery: boolean;
}

export interface Acknowledgement {
  /** How many of the ids were in the queue. */
  removed: number;
  /** What getAvailableMessageCount would say now. */
  remaining: number;
}

export interface MessagesReceivedEvent {
  connectionId: string;
  messages: QueuedMessage[];
}

export interface LiveSessionReplacedEvent {
  connectionId: string;
  /** The session that is over. */
  sessionId: string;
}

export interface PushTokenInvalidEvent {
  connectionId: string;
}

export type ConnectionState = 'disconnected' | 'connecting' | 'connected' | 'reconnecting';

/** A value, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>;
