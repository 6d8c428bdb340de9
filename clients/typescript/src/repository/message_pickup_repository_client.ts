/**
 * The client of the Message Pickup Repository: its methods as promises, its events as callbacks,
 * over a connection that comes back by itself.
 */

import { randomUUID } from 'node:crypto';

import { causeOf, type ClientLogger } from '../logging.js';
import { Caller, type CallOptions } from '../rpc/caller.js';
import {
  ConnectionError,
  InvalidParametersError,
  NotConnectedError,
  type RepositoryError,
  UnauthorizedError,
} from '../rpc/errors.js';
import { decodeFrame, isObject } from '../rpc/json_rpc.js';
import type { SocketEnd } from '../transport/gateway_socket.js';
import { Link } from '../transport/link.js';
import { ReconnectPolicy } from '../transport/reconnect_policy.js';
import {
  acknowledgementOf,
  booleanOf,
  messageIdOf,
  messagesOf,
  numberOf,
  statusOf,
  textOf,
} from './answers.js';
import { ask, Lanes } from './callbacks.js';
import { HandedOver } from './handed_over.js';
import { type ClientSettings, type MessagePickupRepositoryClientOptions, settingsOf } from './options.js';
import type {
  Acknowledgement,
  AddLiveSessionOptions,
  AddMessageOptions,
  ConnectionIdOptions,
  ConnectionInfo,
  ConnectionState,
  LiveSessionReplacedEvent,
  MaybePromise,
  MessagesReceivedEvent,
  PushNotificationToken,
  PushTokenInvalidEvent,
  QueuedMessage,
  QueueOptions,
  QueueStatus,
  RemoveLiveSessionOptions,
  RemoveMessagesOptions,
  TakeFromQueueOptions,
} from './types.js';

const events = ['messagesReceived', 'liveSessionReplaced', 'pushTokenInvalid', 'serverDraining'];
// After so long the next delivery of a connection no longer waits for the one before it.
const deliveryPatienceMs = 10_000;
const releasePatienceMs = 1000;
// What a phone is handed at once after an outage; it asks for the rest by itself.
const catchUpLimit = 50;

// An acknowledgement that waited is sent before the live sessions are opened again: otherwise the
// gateway would deliver once more what it is about.
const acknowledging: CallOptions = { beforeOpening: true };

/**
 * @example
 * ```ts
 * const client = new MessagePickupRepositoryClient({ url: 'ws://127.0.0.1:3100' });
 * client.messagesReceived(({ connectionId, messages }) => deliver(connectionId, messages));
 * await client.connect();
 * ```
 */
export class MessagePickupRepositoryClient {
  private readonly settings: ClientSettings;
  private readonly logger: ClientLogger;
  private readonly link: Link;
  private readonly caller: Caller;
  private readonly deliveries = new Lanes();
  private readonly takes = new Lanes();
  // The sessions that are to be open, by connection id. Opened again after every reconnect.
  private readonly sessions = new Map<string, string>();
  // Those of them that a gateway has had, by connection id: they resume, and yield to newer ones.
  private readonly opened = new Set<string>();

  private readonly handedOver = new HandedOver();

  private state: ConnectionState = 'disconnected';
  private connecting: Promise<void> | undefined;
  private settleFirst: { resolve: () => void; reject: (error: RepositoryError) => void } | undefined;

  private connectionInfo: ((connectionId: string) => MaybePromise<ConnectionInfo | undefined>) | undefined;
  private onMessages: ((event: MessagesReceivedEvent) => unknown) | undefined;
  private onReplaced: ((event: LiveSessionReplacedEvent) => unknown) | undefined;
  private onTokenInvalid: ((event: PushTokenInvalidEvent) => unknown) | undefined;
  private onState: ((state: ConnectionState) => unknown) | undefined;

  /** Does not connect. Throws a TypeError when an option is wrong. */
  constructor(options: MessagePickupRepositoryClientOptions) {
    this.settings = settingsOf(options);
    this.logger = this.settings.logger;
    const policy = new ReconnectPolicy(this.settings.urls, this.settings.reconnect);
    this.link = new Link(policy, this.settings.link, this.logger, {
      opened: () => {
        this.connected();
      },
      text: (text) => {
        this.received(text);
      },
      lost: (end) => {
        this.lost(end);
      },
      failed: (end, exhausted) => {
        this.failed(end, exhausted);
      },
    });
    this.caller = new Caller(this.settings.limits, this.link, this.logger);
  }

  /** The name under which the gateway's log knows this client. */
  get clientId(): string {
    return this.settings.link.clientId;
  }

  get connectionState(): ConnectionState {
    return this.state;
  }

  /**
   * Resolves when a gateway is connected and subscribed to. Rejects when all addresses have failed
   * once, unless `firstConnect` is `retry`. Once it has resolved, the client reconnects by itself
   * until disconnect() is called. Calls made meanwhile wait.
   */
  async connect(): Promise<void> {
    this.connecting ??= new Promise<void>((resolve, reject) => {
      this.settleFirst = { resolve, reject };
      this.setState('connecting');
      this.caller.begin();
      this.link.start();
    });
    return this.connecting;
  }

  /**
   * Ends the live sessions, then closes the connection. Calls that are not answered yet fail.
   * Afterwards connect() may be called again.
   */
  async disconnect(): Promise<void> {
    if (this.state === 'disconnected') return;
    const open = [...this.sessions];
    for (const [connectionId] of open) this.endSession(connectionId);
    if (this.state === 'connected' && open.length > 0) await this.release(open);
    await this.shutDown(new NotConnectedError('The client was disconnected'));
  }

  /** Sets the function that is asked before messages are taken or added. */
  setConnectionInfo(
    callback: (connectionId: string) => MaybePromise<ConnectionInfo | undefined>,
  ): void {
    this.connectionInfo = callback;
  }

  /**
   * Sets the function that gets the messages of live sessions. For one connection it is called for
   * one event after the other: the next one waits until the promise that it returned is settled. A
   * rejection is logged, and the messages come again after the gateway's acknowledgement deadline.
   */
  messagesReceived(callback: (event: MessagesReceivedEvent) => unknown): void {
    this.onMessages = callback;
  }

  /** Sets the function that hears that another mediator has taken over a live session. */
  liveSessionReplaced(callback: (event: LiveSessionReplacedEvent) => unknown): void {
    this.onReplaced = callback;
  }

  /** Sets the function that hears that a push provider does not know a phone's token any more. */
  pushTokenInvalid(callback: (event: PushTokenInvalidEvent) => unknown): void {
    this.onTokenInvalid = callback;
  }

  /** Sets the function that hears when the connection comes and goes. */
  connectionStateChanged(callback: (state: ConnectionState) => unknown): void {
    this.onState = callback;
  }

  /** Messages in arrival order; empty when there are none. */
  async takeFromQueue(options: TakeFromQueueOptions): Promise<QueuedMessage[]> {
    const info = await this.infoOf(options.connectionId);
    const limitBytes = options.limitBytes ?? info?.maxReceiveBytes;
    const { deleteMessages, ...selection } = { ...options, limitBytes };
    if (deleteMessages !== true) return this.take(selection);
    if (this.settings.deletion === 'atomic') return this.take({ ...selection, deleteMessages });
    // One after the other, so that two of them do not return the same messages.
    return this.takes.run(options.connectionId, async () => this.takeAndRemove(selection));
  }

  async getAvailableMessageCount(options: QueueOptions): Promise<number> {
    const method = 'getAvailableMessageCount';
    return numberOf(method, await this.caller.call(method, options));
  }

  /** Resolves with the id of the message when the repository keeps it. */
  async addMessage(options: AddMessageOptions): Promise<string> {
    const { payload, connectionId, recipientDids } = options;
    const messageId = options.messageId ?? randomUUID();
    const info = options.pushNotificationToken ? undefined : await this.infoOf(connectionId);
    const pushNotificationToken = usable(
      options.pushNotificationToken ?? info?.pushNotificationToken,
    );
    const message = {
      connectionId,
      recipientDids,
      payload,
      messageId,
      receivedAt: options.receivedAt?.toISOString(),
      ttlSeconds: options.ttlSeconds,
    };
    const method = 'addMessage';
    try {
      return messageIdOf(
        await this.caller.call(method, { ...message, pushNotificationToken }),
        messageId,
      );
    } catch (error) {
      if (!pushNotificationToken || !isAboutToken(error)) throw error;
      // A token that the gateway refuses must not cost the message.
      this.logger.warn('The push token was refused; the message is added without it', {
        connectionId,
        cause: causeOf(error),
      });
      return messageIdOf(await this.caller.call(method, message), messageId);
    }
  }

  /** Ids that are not in the queue are ignored. */
  async removeMessages(options: RemoveMessagesOptions): Promise<void> {
    const answer = await this.caller.call('removeMessages', options, acknowledging);
    booleanOf('removeMessages', answer);
    this.handedOver.forget(options.connectionId, options.messageIds);
  }

  /** Removes everything of the connection, or everything for one recipient. */
  async removeAllMessages(options: QueueOptions): Promise<void> {
    booleanOf('removeAllMessages', await this.caller.call('removeAllMessages', options));
  }

  /** Removes messages and says how many are left, in one call. */
  async acknowledge(options: RemoveMessagesOptions): Promise<Acknowledgement> {
    const method = 'acknowledge';
    const answer = await this.caller.call(method, options, acknowledging);
    this.handedOver.forget(options.connectionId, options.messageIds);
    return acknowledgementOf(method, answer);
  }

  /** What the status messages of the pickup protocols need, in one call. */
  async getQueueStatus(options: QueueOptions): Promise<QueueStatus> {
    const method = 'getQueueStatus';
    return statusOf(method, await this.caller.call(method, options));
  }

  /** Whether the connection has a live session, at any mediator. */
  async getLiveSession({ connectionId }: ConnectionIdOptions): Promise<boolean> {
    const method = 'getLiveSession';
    return booleanOf(method, await this.caller.call(method, { connectionId }));
  }

  /**
   * Opens a live session: messages of the connection come to messagesReceived. It is opened again
   * after every reconnect, until it is removed or another mediator takes over.
   */
  async addLiveSession({ connectionId, sessionId }: AddLiveSessionOptions): Promise<boolean> {
    if (this.sessions.get(connectionId) !== sessionId) this.opened.delete(connectionId);
    this.sessions.set(connectionId, sessionId);
    const answer = this.caller.call(
      'addLiveSession',
      { connectionId, sessionId },
      this.sessionCall(connectionId, sessionId),
    );
    const opened = booleanOf('addLiveSession', await answer);
    if (opened && this.sessions.get(connectionId) === sessionId) this.opened.add(connectionId);
    return opened;
  }

  /** Ends a live session. False when there was none, or another mediator holds it. */
  async removeLiveSession(options: RemoveLiveSessionOptions): Promise<boolean> {
    const { connectionId, sessionId } = options;
    const present = this.sessions.get(connectionId);
    if (sessionId === undefined || sessionId === present) this.endSession(connectionId);
    const answer = this.caller.call(
      'removeLiveSession',
      { connectionId, sessionId },
      this.sessionCall(connectionId, this.sessions.get(connectionId)),
    );
    return booleanOf('removeLiveSession', await answer);
  }

  async ping(): Promise<string> {
    return textOf('ping', await this.caller.call('ping', {}));
  }

  // A call about a session is repeated only while the session is still to be as the call left it.
  private sessionCall(connectionId: string, sessionId: string | undefined): CallOptions {
    return {
      subject: connectionId,
      stillWanted: () => this.sessions.get(connectionId) === sessionId,
    };
  }

  private endSession(connectionId: string): void {
    this.sessions.delete(connectionId);
    this.opened.delete(connectionId);
    this.handedOver.end(connectionId);
  }

  private async take(params: object): Promise<QueuedMessage[]> {
    const method = 'takeFromQueue';
    return messagesOf(method, await this.caller.call(method, params));
  }

  private async takeAndRemove(
    selection: QueueOptions & { limit?: number; limitBytes?: number | undefined },
  ): Promise<QueuedMessage[]> {
    const messages = await this.take(selection);
    if (messages.length === 0) return messages;
    const { connectionId } = selection;
    const messageIds = messages.map((message) => message.id);
    try {
      await this.removeMessages({ connectionId, messageIds });
    } catch (error) {
      // The messages are here; that they will come once more is better than that they do not come.
      this.logger.warn('Messages that were taken could not be removed; they will come again', {
        connectionId,
        count: messageIds.length,
        cause: causeOf(error),
      });
    }
    return messages;
  }

  private async infoOf(connectionId: string): Promise<ConnectionInfo | undefined> {
    const callback = this.connectionInfo;
    if (!callback) return undefined;
    return ask(
      'setConnectionInfo',
      () => callback(connectionId),
      this.settings.callbackMs,
      this.logger,
    );
  }

  private connected(): void {
    const first = this.settleFirst;
    this.caller.connected(() => {
      void this.subscribe(first);
      // What waits about a session will be sent in its own turn.
      const waiting = this.caller.pendingSubjects();
      for (const [connectionId, sessionId] of this.sessions) {
        if (!waiting.has(connectionId)) void this.reopen(connectionId, sessionId);
      }
    });
    if (!first) this.setState('connected');
  }

  private async subscribe(first: typeof this.settleFirst): Promise<void> {
    try {
      await this.caller.callNow('rpc.on', events);
    } catch (error) {
      if (first && this.settings.firstConnect === 'reject' && error instanceof UnauthorizedError) {
        await this.shutDown(error);
        return;
      }
      this.logger.error('Could not subscribe to the events of the repository', {
        cause: causeOf(error),
      });
      this.link.abandon('no subscription');
      return;
    }
    if (!first) return;
    this.settleFirst = undefined;
    this.setState('connected');
    first.resolve();
  }

  private async reopen(connectionId: string, sessionId: string): Promise<void> {
    const params = { connectionId, sessionId };
    const call = this.sessionCall(connectionId, sessionId);
    try {
      const resume = this.opened.has(connectionId) ? true : undefined;
      const opened = await this.caller.call('addLiveSession', { ...params, resume }, call);
      if (opened !== true) {
        // The phone went to another mediator meanwhile.
        if (opened === false) this.replaced(connectionId, sessionId);
        return;
      }
      if (this.sessions.get(connectionId) === sessionId) this.opened.add(connectionId);
      this.logger.debug('Opened a live session again', params);
      await this.catchUp(connectionId, sessionId);
    } catch (error) {
      // The next reconnect tries again; until then its messages wait in the queue.
      this.logger.error('Could not open a live session again', { ...params, cause: causeOf(error) });
    }
  }

  // Opening a session delivers nothing by itself, and the phone does not know that there was an
  // outage: what came meanwhile is fetched for it. Its acknowledgement tells it of anything more.
  // The result is handed on in the order of the frames, so that no later event overtakes it.
  private async catchUp(connectionId: string, sessionId: string): Promise<void> {
    const info = await this.infoOf(connectionId);
    const params = { connectionId, limit: catchUpLimit, limitBytes: info?.maxReceiveBytes };
    const onResult = (result: unknown): void => {
      const isOurs = this.sessions.get(connectionId) === sessionId;
      if (isOurs && !isEmpty(result)) this.arrived(connectionId, result);
    };
    const stillWanted = (): boolean => this.sessions.get(connectionId) === sessionId;
    await this.caller.call('takeFromQueue', params, { stillWanted, onResult });
  }

  private lost(end: SocketEnd): void {
    this.caller.disconnected(`the connection ended (${end.code})`);
    if (this.state === 'connected') this.setState('reconnecting');
  }

  private failed(end: SocketEnd, exhausted: boolean): void {
    if (!this.settleFirst || !exhausted || this.settings.firstConnect === 'retry') return;
    const message = `Could not connect to the message pickup repository: ${end.reason}`;
    void this.shutDown(
      end.httpStatus === 401
        ? new UnauthorizedError(message, 401, end.reason)
        : new ConnectionError(message),
    );
  }

  private async release(open: readonly (readonly [string, string])[]): Promise<void> {
    const removals = open.map(async ([connectionId, sessionId]) =>
      this.caller.call('removeLiveSession', { connectionId, sessionId }, { stillWanted: () => false }),
    );
    await ask('disconnect', async () => Promise.allSettled(removals), releasePatienceMs, this.logger);
  }

  private async shutDown(error: RepositoryError): Promise<void> {
    const first = this.settleFirst;
    this.settleFirst = undefined;
    this.connecting = undefined;
    this.caller.end(error);
    this.setState('disconnected');
    await this.link.stop();
    first?.reject(error);
  }

  private setState(state: ConnectionState): void {
    if (this.state === state) return;
    this.state = state;
    const callback = this.onState;
    if (callback) this.tell('connectionStateChanged', () => callback(state));
  }

  private received(text: string): void {
    const frame = decodeFrame(text);
    if (frame.kind === 'unknown') {
      this.logger.warn('Ignored a frame that cannot be understood', { why: frame.why });
    } else if (frame.kind === 'event') {
      this.happened(frame.event, frame.params);
    } else {
      this.caller.answer(frame);
    }
  }

  private happened(event: string, params: unknown): void {
    if (event === 'serverDraining') {
      this.logger.info('The gateway stops; going to another one', { url: this.link.address });
      this.caller.drain();
      return;
    }
    if (!isObject(params) || typeof params.connectionId !== 'string') {
      this.logger.warn('Ignored an event that names no connection', { event });
      return;
    }
    const { connectionId } = params;
    if (event === 'messagesReceived') {
      this.arrived(connectionId, params.messages);
    } else if (event === 'liveSessionReplaced' && typeof params.sessionId === 'string') {
      this.replaced(connectionId, params.sessionId);
    } else if (event === 'pushTokenInvalid') {
      const callback = this.onTokenInvalid;
      if (callback) this.tell(event, () => callback({ connectionId }));
    }
  }

  private arrived(connectionId: string, content: unknown): void {
    try {
      this.deliver({ connectionId, messages: messagesOf('messagesReceived', content) });
    } catch (error) {
      this.logger.warn('Ignored messages that cannot be understood', { connectionId, cause: causeOf(error) });
    }
  }

  private deliver(event: MessagesReceivedEvent): void {
    const callback = this.onMessages;
    const messages = this.withoutRepetitions(event);
    if (!callback || messages.length === 0) return;
    const { connectionId } = event;
    void this.deliveries.run(connectionId, async () =>
      ask(
        'messagesReceived',
        async () => {
          try {
            await callback({ connectionId, messages });
          } catch (error) {
            this.handedOver.forget(connectionId, messages.map(({ id }) => id));
            throw error;
          }
        },
        deliveryPatienceMs,
        this.logger,
      ),
    );
  }

  private withoutRepetitions({ connectionId, messages }: MessagesReceivedEvent): QueuedMessage[] {
    const sessionId = this.sessions.get(connectionId);
    if (sessionId === undefined) return messages;
    const now = performance.now();
    const fresh = messages.filter(
      ({ id }) => !this.handedOver.isRepetition({ connectionId, sessionId }, id, now),
    );
    if (fresh.length < messages.length) {
      this.logger.debug('Spared a phone messages that it has already', {
        connectionId,
        count: messages.length - fresh.length,
      });
    }
    return fresh;
  }

  private replaced(connectionId: string, sessionId: string): void {
    if (this.sessions.get(connectionId) === sessionId) this.endSession(connectionId);
    const callback = this.onReplaced;
    if (callback) this.tell('liveSessionReplaced', () => callback({ connectionId, sessionId }));
  }

  private tell(what: string, callback: () => unknown): void {
    void ask(what, callback, deliveryPatienceMs, this.logger);
  }
}

function usable(token: PushNotificationToken | undefined): PushNotificationToken | undefined {
  return token?.token ? token : undefined;
}

function isEmpty(result: unknown): boolean {
  return Array.isArray(result) && result.length === 0;
}

function isAboutToken(error: unknown): boolean {
  return (
    error instanceof InvalidParametersError &&
    error.details?.startsWith('pushNotificationToken') === true
  );
}
