/** The options of the client, with their defaults in one place. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

import { type ClientLogger, silentLogger } from '../logging.js';
import type { CallLimits } from '../rpc/caller.js';
import type { TlsOptions } from '../transport/gateway_socket.js';
import type { LinkOptions, TokenSource } from '../transport/link.js';
import type { ReconnectTimes } from '../transport/reconnect_policy.js';

export interface MessagePickupRepositoryClientOptions {
  /**
   * Address of a gateway, `ws://host:port` or `wss://host:port`, or several of them. They are tried
   * in this order; when one is gone, the next takes over.
   */
  url: string | readonly string[];
  /** The gateway's token, or a function that gets the present one before every connection. */
  token?: TokenSource;
  tls?: TlsOptions;
  /** Where to write what happens, for example the agent's `config.logger`. Silent unless given. */
  logger?: ClientLogger;
  /**
   * Names this mediator in the gateway's log, and stays the same over reconnects. Host, process and
   * a random part, unless given.
   */
  clientId?: string;
  /**
   * What connect() does when no gateway can be reached: reject, or go on trying for as long as it
   * takes. Default: `reject`.
   */
  firstConnect?: 'reject' | 'retry';
  /** Longest wait for the answer to one attempt of a call. Default: 2,000 ms. */
  callTimeoutMs?: number;
  /**
   * Longest time of a call in all: waiting for a connection, and every attempt. While the gateway
   * restarts, calls wait so long before they fail. Default: 10,000 ms.
   */
  totalTimeoutMs?: number;
  /** Most calls that wait for a connection; more are refused at once. Default: 10,000. */
  maxQueuedCalls?: number;
  /** Most bytes of calls that wait for a connection. Default: 64 MiB. */
  maxQueuedBytes?: number;
  /** Longest time for one attempt to connect. Default: 5,000 ms. */
  connectTimeoutMs?: number;
  /** A silent gateway is pinged after this time, given up after twice as long. Default: 5,000 ms. */
  heartbeatMs?: number;
  /** Wait after all gateways failed; doubled with every further round. Default: 100 ms. */
  reconnectBaseMs?: number;
  /** Longest wait between two rounds. Default: 5,000 ms. */
  reconnectCapMs?: number;
  /** Longest wait for the setConnectionInfo callback; then the call goes on without. Default: 2,000 ms. */
  callbackTimeoutMs?: number;
  /**
   * How takeFromQueue with `deleteMessages` removes. `afterReceipt`: once the messages are here, so
   * that an answer lost on the way loses nothing. `atomic`: within the take, one round trip less.
   * Default: `afterReceipt`.
   */
  deletion?: 'afterReceipt' | 'atomic';
}

export interface ClientSettings {
  readonly urls: readonly [string, ...string[]];
  readonly logger: ClientLogger;
  readonly firstConnect: 'reject' | 'retry';
  readonly deletion: 'afterReceipt' | 'atomic';
  readonly callbackMs: number;
  readonly limits: CallLimits;
  readonly link: LinkOptions;
  readonly reconnect: ReconnectTimes;
}

/** Throws a TypeError that names what is wrong. */
export function settingsOf(options: MessagePickupRepositoryClientOptions): ClientSettings {
  return {
    urls: checkedUrls(options.url),
    logger: options.logger ?? silentLogger,
    firstConnect: options.firstConnect ?? 'reject',
    deletion: options.deletion ?? 'afterReceipt',
    callbackMs: positive('callbackTimeoutMs', options.callbackTimeoutMs, 2000),
    limits: {
      answerMs: positive('callTimeoutMs', options.callTimeoutMs, 2000),
      totalMs: positive('totalTimeoutMs', options.totalTimeoutMs, 10_000),
      queuedCalls: positive('maxQueuedCalls', options.maxQueuedCalls, 10_000),
      queuedBytes: positive('maxQueuedBytes', options.maxQueuedBytes, 64 * 1024 * 1024),
    },
    link: {
      clientId: options.clientId ?? `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
      token: options.token,
      tls: options.tls ?? {},
      times: {
        openMs: positive('connectTimeoutMs', options.connectTimeoutMs, 5000),
        heartbeatMs: positive('heartbeatMs', options.heartbeatMs, 5000),
      },
    },
    reconnect: {
      baseMs: positive('reconnectBaseMs', options.reconnectBaseMs, 100),
      capMs: positive('reconnectCapMs', options.reconnectCapMs, 5000),
      stableMs: 1000,
    },
  };
}

function checkedUrls(url: string | readonly string[]): [string, ...string[]] {
  const [first, ...more] = typeof url === 'string' ? [url] : url;
  if (first === undefined) throw new TypeError('url: at least one address is needed');
  const urls: [string, ...string[]] = [first, ...more];
  for (const [index, text] of urls.entries()) {
    if (!/^wss?:$/.test(protocolOf(text))) {
      throw new TypeError(`url: address ${index + 1} must begin with ws:// or wss://`);
    }
  }
  return urls;
}

function protocolOf(text: string): string {
  try {
    return new URL(text).protocol;
  } catch {
    return '';
  }
}

function positive(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (Number.isFinite(value) && value > 0) return value;
  throw new TypeError(`${name}: must be a number above 0`);
}
