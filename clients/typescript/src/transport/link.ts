/**
 * Keeps one socket to one of the gateways open until it is stopped: connects, notices the end,
 * waits as the policy says, connects again. At any moment there is one socket at most, and what a
 * former one still says is not heard any more.
 */

import { causeOf, type ClientLogger, printableUrl } from '../logging.js';
import {
  GatewaySocket,
  type SocketEnd,
  type SocketTimes,
  type TlsOptions,
} from './gateway_socket.js';
import type { Attempt, ReconnectPolicy } from './reconnect_policy.js';

export type TokenSource = string | (() => string | Promise<string>);

export interface LinkOptions {
  readonly clientId: string;
  readonly token: TokenSource | undefined;
  readonly tls: TlsOptions;
  readonly times: SocketTimes;
}

export interface LinkListener {
  /** A socket is open; what is sent from now on goes there. */
  opened(): void;
  text(text: string): void;
  /** The open socket has ended. Another attempt follows by itself. */
  lost(end: SocketEnd): void;
  /** An attempt failed before it was open. `exhausted`: all addresses have failed in a row. */
  failed(end: SocketEnd, exhausted: boolean): void;
}

const closePatienceMs = 1000;

export class Link {
  private socket: GatewaySocket | undefined;
  private timer: NodeJS.Timeout | undefined;
  private openedAt = 0;
  private url = '';
  // Counts the attempts, so that what belongs to a former one is recognised.
  private generation = 0;
  private running = false;
  private readonly stopping: (() => void)[] = [];

  constructor(
    private readonly policy: ReconnectPolicy,
    private readonly options: LinkOptions,
    private readonly logger: ClientLogger,
    private readonly listener: LinkListener,
  ) {}

  /** The address of the present socket or attempt, without secrets. */
  get address(): string {
    return printableUrl(this.url);
  }

  get isOpen(): boolean {
    return this.openedAt > 0;
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    this.schedule(this.policy.first());
  }

  /** Closes the socket and stays closed. Resolves when it is gone, within a second. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.running = false;
    clearTimeout(this.timer);
    const socket = this.socket;
    if (!this.isOpen || !socket) {
      this.generation += 1;
      this.socket = undefined;
      socket?.abort('stopped');
      return;
    }
    await new Promise<void>((resolve) => {
      this.stopping.push(resolve);
      socket.close(closePatienceMs);
    });
  }

  send(text: string): boolean {
    return this.isOpen && this.socket?.send(text) === true;
  }

  /** Whether anything has come from the gateway since that moment of the monotonic clock. */
  heardSince(moment: number): boolean {
    return this.socket !== undefined && this.socket.lastHeardAt > moment;
  }

  /** Gives the present socket up at once and goes on to the next address. */
  abandon(why: string): void {
    this.socket?.abort(why);
  }

  private schedule({ url, delayMs }: Attempt): void {
    this.url = url;
    this.generation += 1;
    const generation = this.generation;
    this.timer = setTimeout(() => {
      void this.connect(generation);
    }, delayMs);
  }

  private async connect(generation: number): Promise<void> {
    let headers: Record<string, string> = {};
    try {
      const { token } = this.options;
      const value = typeof token === 'function' ? await token() : token;
      if (value !== undefined) headers = { authorization: `Bearer ${value}` };
    } catch (error) {
      this.ended(generation, {
        opened: false,
        code: 0,
        reason: `there is no token: ${causeOf(error)}`,
      });
      return;
    }
    if (!this.running || generation !== this.generation) return;
    try {
      this.socket = this.openSocket(generation, headers);
    } catch (error) {
      this.ended(generation, { opened: false, code: 0, reason: causeOf(error) });
    }
  }

  private openSocket(generation: number, headers: Record<string, string>): GatewaySocket {
    const target = new URL(this.url);
    target.searchParams.set('socket_id', this.options.clientId);
    const { tls, times } = this.options;
    return new GatewaySocket({ url: target.href, headers, tls }, times, {
      opened: () => {
        if (generation !== this.generation) return;
        this.openedAt = performance.now();
        this.logger.info('Connected to the message pickup repository', { url: this.address });
        this.listener.opened();
      },
      text: (text) => {
        if (generation === this.generation) this.listener.text(text);
      },
      ended: (end) => {
        this.ended(generation, end);
      },
    });
  }

  private ended(generation: number, end: SocketEnd): void {
    if (generation !== this.generation) return;
    const lastedMs = this.isOpen ? performance.now() - this.openedAt : 0;
    this.socket = undefined;
    this.openedAt = 0;
    const address = this.address;
    // The next attempt is decided first: a listener may stop the link, and that has to hold.
    if (this.running) this.schedule(end.opened ? this.policy.afterLoss(lastedMs) : this.policy.afterFailure());
    else this.generation += 1;
    const line = { url: address, code: end.code, reason: end.reason };
    if (end.opened) {
      if (this.running) this.logger.warn('Lost the message pickup repository', line);
      this.listener.lost(end);
    } else {
      this.logger.warn('Could not connect to the message pickup repository', line);
      this.listener.failed(end, this.policy.allFailed());
    }
    for (const resolve of this.stopping.splice(0)) resolve();
  }
}
