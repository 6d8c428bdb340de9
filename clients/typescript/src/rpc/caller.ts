/**
 * Calls and their answers, over whatever socket there is at present.
 *
 * A call waits for a connection when there is none, is sent again when the connection broke before
 * its answer, and is repeated when the gateway answered that it cannot at the moment. All of that
 * ends with the call's deadline. Calls are sent in the order in which they were made, also after a
 * reconnect, except for those that ask to go first then. What waits is bounded in number and in bytes.
 */

import type { ClientLogger } from '../logging.js';
import {
  CallTimeoutError,
  ConnectionError,
  type ErrorAnswer,
  isPassing,
  NotConnectedError,
  QueueFullError,
  remoteError,
  type RepositoryError,
} from './errors.js';
import { encodeRequest, type Frame } from './json_rpc.js';

export interface CallLimits {
  /** Longest wait for the answer to what was sent. */
  readonly answerMs: number;
  /** Longest time of a call in all: waiting for a connection, and every attempt. */
  readonly totalMs: number;
  /** Most calls, and most bytes of calls, that wait for a connection. */
  readonly queuedCalls: number;
  readonly queuedBytes: number;
}

export interface Wire {
  send(text: string): boolean;
  heardSince(moment: number): boolean;
  abandon(why: string): void;
}

export interface CallOptions {
  /** Names what the call is about, for pendingSubjects(). */
  readonly subject?: string;
  /** Asked before the call is sent again; `false` ends it with the result `false`. */
  readonly stillWanted?: () => boolean;
  /** After a reconnect the call is sent before the opening calls, not after them. */
  readonly beforeOpening?: boolean;
  /** Hears the result at once, in the order of the frames, before the promise does. */
  readonly onResult?: (result: unknown) => void;
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly text: string;
  readonly options: CallOptions;
  /** Belongs to one connection: not sent again when that is lost. */
  readonly opening: boolean;
  readonly deadline: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: RepositoryError) => void;
  timer: NodeJS.Timeout | undefined;
  sentAt: number;
  attempts: number;
  waiting: boolean;
}

const firstRetryMs = 50;
const longestRetryMs = 1000;

export class Caller {
  // Every call without an outcome, in the order of their ids, which is the order of sending.
  private readonly calls = new Map<number, Call>();
  private lastId = 0;
  private state: 'idle' | 'disconnected' | 'connected' | 'draining' = 'idle';
  private queuedCalls = 0;
  private queuedBytes = 0;
  private sentCalls = 0;

  constructor(
    private readonly limits: CallLimits,
    private readonly wire: Wire,
    private readonly logger: ClientLogger,
  ) {}

  /** From now on calls wait for a connection. */
  begin(): void {
    if (this.state === 'idle') this.state = 'disconnected';
  }

  async call(method: string, params: unknown, options: CallOptions = {}): Promise<unknown> {
    if (this.state === 'idle') {
      throw new NotConnectedError(`${method} failed: the client is not connected`, method);
    }
    return new Promise((resolve, reject) => {
      const call = this.make(method, params, options, false, resolve, reject);
      if (this.state === 'connected') {
        this.calls.set(call.id, call);
        this.transmit(call);
        return;
      }
      if (!this.hasRoom(call)) {
        reject(
          new QueueFullError(`${method} failed: ${this.queuedCalls} calls wait already`, method),
        );
        return;
      }
      this.calls.set(call.id, call);
      this.enqueue(call);
    });
  }

  /**
   * The socket is open. `opening` makes the calls with which every connection begins; they are
   * sent before those that waited, unless these say otherwise.
   */
  connected(opening: () => void): void {
    this.state = 'connected';
    const waiting = [...this.calls.values()].filter((call) => call.waiting);
    for (const call of waiting) {
      if (call.options.beforeOpening === true) this.transmitAgain(call);
    }
    opening();
    for (const call of waiting) {
      if (call.waiting && this.calls.has(call.id)) this.transmitAgain(call);
    }
  }

  /** A call of this connection only: it ends with it. To be made within connected(), or while it lasts. */
  async callNow(method: string, params: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = this.make(method, params, {}, true, resolve, reject);
      this.calls.set(call.id, call);
      this.transmit(call);
    });
  }

  /** The socket has ended: what was not answered waits for the next one. */
  disconnected(why: string): void {
    if (this.state === 'idle') return;
    this.state = 'disconnected';
    for (const call of [...this.calls.values()]) {
      if (call.opening) {
        const error = new ConnectionError(`${call.method} failed: ${why}`, call.method);
        this.finish(call, () => {
          call.reject(error);
        });
      } else if (!call.waiting) {
        this.enqueue(call);
      }
    }
  }

  /**
   * The gateway is about to close: nothing more is sent to it. Once what was sent is answered, the
   * connection is given up without waiting for its end.
   */
  drain(): void {
    if (this.state !== 'connected') return;
    this.state = 'draining';
    this.leaveWhenDrained();
  }

  /** Ends every call with this error, and takes no more. */
  end(error: RepositoryError): void {
    this.state = 'idle';
    for (const call of [...this.calls.values()]) {
      this.finish(call, () => {
        call.reject(error);
      });
    }
  }

  answer(frame: Frame & { kind: 'result' | 'error' }): void {
    const call = this.calls.get(frame.id);
    // An answer after the call's time was up; its caller has been told.
    if (!call) return;
    if (frame.kind === 'result') {
      this.finish(call, () => {
        call.options.onResult?.(frame.result);
        call.resolve(frame.result);
      });
    } else {
      this.failed(call, frame.error);
    }
    this.leaveWhenDrained();
  }

  /** What the calls without an outcome are about. */
  pendingSubjects(): Set<string> {
    const subjects = new Set<string>();
    for (const { options } of this.calls.values()) {
      if (options.subject !== undefined) subjects.add(options.subject);
    }
    return subjects;
  }

  private make(
    method: string,
    params: unknown,
    options: CallOptions,
    opening: boolean,
    resolve: (result: unknown) => void,
    reject: (error: RepositoryError) => void,
  ): Call {
    const id = (this.lastId += 1);
    return {
      id,
      method,
      text: encodeRequest(id, method, params),
      options,
      opening,
      deadline: performance.now() + this.limits.totalMs,
      resolve,
      reject,
      timer: undefined,
      sentAt: 0,
      attempts: 0,
      waiting: false,
    };
  }

  private hasRoom(call: Call): boolean {
    return (
      this.queuedCalls < this.limits.queuedCalls &&
      this.queuedBytes + call.text.length <= this.limits.queuedBytes
    );
  }

  private enqueue(call: Call): void {
    if (call.sentAt > 0) this.sentCalls -= 1;
    call.sentAt = 0;
    call.waiting = true;
    this.queuedCalls += 1;
    this.queuedBytes += call.text.length;
    this.setTimer(call, call.deadline - performance.now(), () => {
      const error = new ConnectionError(
        `${call.method} failed: no connection within ${this.limits.totalMs} ms`,
        call.method,
      );
      this.finish(call, () => {
        call.reject(error);
      });
    });
  }

  private dequeue(call: Call): void {
    if (!call.waiting) return;
    call.waiting = false;
    this.queuedCalls -= 1;
    this.queuedBytes -= call.text.length;
  }

  private transmit(call: Call): void {
    this.dequeue(call);
    call.attempts += 1;
    if (call.sentAt === 0) this.sentCalls += 1;
    const now = (call.sentAt = performance.now());
    // The socket may have ended without having said so yet; then disconnected() takes the call back.
    this.wire.send(call.text);
    const patienceMs = Math.min(this.limits.answerMs, Math.max(0, call.deadline - now));
    this.setTimer(call, patienceMs, () => {
      // This process may have been busy for so long: what has come meanwhile is read first.
      setImmediate(() => {
        if (this.calls.has(call.id) && call.sentAt === now) this.unanswered(call);
      });
    });
  }

  private transmitAgain(call: Call): void {
    if (call.options.stillWanted?.() === false) {
      this.finish(call, () => {
        call.resolve(false);
      });
      return;
    }
    if (this.state === 'connected') {
      this.transmit(call);
      return;
    }
    if (!call.waiting) this.enqueue(call);
    this.leaveWhenDrained();
  }

  private unanswered(call: Call): void {
    const deaf = !this.wire.heardSince(call.sentAt);
    if (performance.now() + firstRetryMs >= call.deadline || call.opening) {
      const waitedMs = Math.round(performance.now() - call.sentAt);
      const error = new CallTimeoutError(
        `${call.method} failed: no answer in ${waitedMs} ms`,
        call.method,
      );
      this.finish(call, () => {
        call.reject(error);
      });
    } else if (!deaf) {
      this.logger.debug('No answer in time, asking again', { method: call.method });
      this.transmitAgain(call);
    }
    // Nothing at all came while a call waited its whole time: the peer is gone without a word.
    if (deaf && this.state !== 'disconnected') this.wire.abandon('no answer, and no sign of life');
  }

  private failed(call: Call, error: ErrorAnswer): void {
    const pauseMs =
      Math.min(longestRetryMs, firstRetryMs * 2 ** (call.attempts - 1)) * (0.5 + Math.random() / 2);
    // Just before the deadline there is no time for an answer: this error says more than a timeout.
    const over = performance.now() + pauseMs + firstRetryMs >= call.deadline;
    if (call.opening || !isPassing(error) || over) {
      this.finish(call, () => {
        call.reject(remoteError(error, call.method));
      });
      return;
    }
    this.logger.debug('The gateway cannot at the moment, asking again', {
      method: call.method,
      code: error.code,
    });
    this.setTimer(call, pauseMs, () => {
      this.transmitAgain(call);
    });
  }

  private finish(call: Call, settle: () => void): void {
    clearTimeout(call.timer);
    this.dequeue(call);
    if (call.sentAt > 0) this.sentCalls -= 1;
    this.calls.delete(call.id);
    settle();
  }

  private setTimer(call: Call, milliseconds: number, then: () => void): void {
    clearTimeout(call.timer);
    call.timer = setTimeout(then, Math.max(0, milliseconds));
  }

  private leaveWhenDrained(): void {
    if (this.state === 'draining' && this.sentCalls === 0) this.wire.abandon('the gateway stops');
  }
}

