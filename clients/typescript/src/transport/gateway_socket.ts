/**
 * One WebSocket to one gateway, from the handshake to its end. It notices a peer that is gone
 * without a word, and reports its end exactly once. It never reconnects: see Link.
 */

import WebSocket, { type ClientOptions } from 'ws';

import { causeOf } from '../logging.js';

/** What TLS needs beyond the system's certificates; the names are those of `node:tls`. */
export interface TlsOptions {
  /** Certificates to trust instead of the system's, as PEM. */
  ca?: string | Uint8Array | (string | Uint8Array)[];
  /** The client's own certificate, as PEM. */
  cert?: string | Uint8Array;
  /** The key of `cert`, as PEM. */
  key?: string | Uint8Array;
  passphrase?: string;
  /** The name that the gateway's certificate must have, when it is not the host of the address. */
  servername?: string;
  /** `false` takes any certificate. For tests only. */
  rejectUnauthorized?: boolean;
}

export interface SocketTimes {
  /** Longest time for the name look-up, TCP, TLS and the handshake together. */
  readonly openMs: number;
  /** A silent peer is pinged after this time, and taken for dead after twice as long. */
  readonly heartbeatMs: number;
}

export interface SocketAddress {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions;
}

/** How a socket ended. `httpStatus` is there when the handshake was refused. */
export interface SocketEnd {
  readonly opened: boolean;
  readonly code: number;
  readonly reason: string;
  readonly httpStatus?: number;
}

export interface SocketListener {
  opened(): void;
  text(text: string): void;
  ended(end: SocketEnd): void;
}

const goingAway = 1001;
const abnormalClosure = 1006;
// Larger than any answer of a gateway, so that only a broken peer meets it.
const maxFrameBytes = 128 * 1024 * 1024;

export class GatewaySocket {
  private readonly ws: WebSocket;
  private heartbeat: NodeJS.Timeout | undefined;
  private heardAt = 0;
  private pingedAt = 0;
  private wasOpen = false;
  private isOver = false;
  private failure: string | undefined;
  private httpStatus: number | undefined;

  constructor(
    address: SocketAddress,
    private readonly times: SocketTimes,
    private readonly listener: SocketListener,
  ) {
    this.ws = new WebSocket(address.url, {
      headers: address.headers,
      handshakeTimeout: times.openMs,
      perMessageDeflate: false,
      maxPayload: maxFrameBytes,
      // The types of Node know Buffers only; it takes any bytes.
      ...(address.tls as ClientOptions),
    });
    this.ws.on('open', () => {
      this.open();
    });
    this.ws.on('message', (data) => {
      this.heard();
      // `ws` hands text over as one Buffer unless binaryType says otherwise.
      this.listener.text((data as Buffer).toString('utf8'));
    });
    this.ws.on('ping', () => {
      this.heard();
    });
    this.ws.on('pong', () => {
      this.heard();
    });
    this.ws.on('unexpected-response', (request, response) => {
      this.httpStatus = response.statusCode;
      this.failure = `the handshake was answered with HTTP ${response.statusCode ?? 0}`;
      request.destroy();
      this.over(abnormalClosure, '');
    });
    this.ws.on('error', (error) => {
      this.failure ??= causeOf(error);
    });
    this.ws.on('close', (code, reason) => {
      this.over(code, reason.toString('utf8'));
    });
  }

  /** When something last came from the peer, as milliseconds of the monotonic clock. */
  get lastHeardAt(): number {
    return this.heardAt;
  }

  /** Whether the text was handed to an open socket; it may still be lost on the way. */
  send(text: string): boolean {
    if (this.isOver || this.ws.readyState !== WebSocket.OPEN) return false;
    this.ws.send(text);
    return true;
  }

  /** Says good-bye; the end is reported when the peer has answered, or after `patienceMs`. */
  close(patienceMs: number): void {
    if (this.isOver) return;
    if (this.ws.readyState !== WebSocket.OPEN) {
      this.abort('closed before it was open');
      return;
    }
    this.ws.close(goingAway);
    setTimeout(() => {
      this.abort('the gateway did not answer the close');
    }, patienceMs).unref();
  }

  /** Cuts the connection; the end is reported before this returns. */
  abort(why: string): void {
    if (this.isOver) return;
    this.failure ??= why;
    this.ws.terminate();
    this.over(abnormalClosure, '');
  }

  private open(): void {
    if (this.isOver) return;
    this.wasOpen = true;
    this.heard();
    this.heartbeat = setInterval(() => {
      this.checkPulse();
    }, this.times.heartbeatMs / 2);
    this.listener.opened();
  }

  private heard(): void {
    this.heardAt = performance.now();
  }

  private checkPulse(): void {
    const now = performance.now();
    if (now - this.heardAt < this.times.heartbeatMs) return;
    if (this.pingedAt <= this.heardAt) {
      this.pingedAt = now;
      if (this.ws.readyState === WebSocket.OPEN) this.ws.ping();
    } else if (now - this.pingedAt >= this.times.heartbeatMs) {
      // This process may have been busy for so long: what has come meanwhile is read first.
      setImmediate(() => {
        if (this.pingedAt > this.heardAt) this.abort('the gateway does not answer pings');
      });
    }
  }

  private over(code: number, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.heartbeat);
    this.listener.ended({
      opened: this.wasOpen,
      code,
      reason: this.failure ?? reason,
      ...(this.httpStatus === undefined ? {} : { httpStatus: this.httpStatus }),
    });
  }
}
