/**
 * Decides where and when to connect next. It has no sockets, no timers and no clock: it is told
 * what happened and answers with an attempt.
 *
 * The addresses are tried in their order, one after the other, without waiting: when one gateway
 * is gone, the next one takes over at once. Only when all have failed in a row does it wait, each
 * round longer than the one before, up to a bound. It never gives up.
 */

export interface ReconnectTimes {
  /** Wait after the first round in which all addresses failed. */
  readonly baseMs: number;
  /** Longest wait. */
  readonly capMs: number;
  /** A connection that lasted so long was a good one: the next loss starts from the beginning. */
  readonly stableMs: number;
}

export interface Attempt {
  readonly url: string;
  readonly delayMs: number;
}

export class ReconnectPolicy {
  private index = 0;
  private failures = 0;

  constructor(
    private readonly urls: readonly [string, ...string[]],
    private readonly times: ReconnectTimes,
    private readonly random: () => number = Math.random,
  ) {}

  /** The first attempt, or the first one after a deliberate stop. */
  first(): Attempt {
    this.failures = 0;
    return { url: this.current(), delayMs: 0 };
  }

  /** The attempt after one that did not lead to a working connection. */
  afterFailure(): Attempt {
    this.failures += 1;
    this.index = (this.index + 1) % this.urls.length;
    return { url: this.current(), delayMs: this.delay() };
  }

  /**
   * The attempt after a working connection ended. A short-lived one counts as a failure, so that a
   * gateway that accepts and drops does not make the client spin.
   */
  afterLoss(lastedMs: number): Attempt {
    if (lastedMs < this.times.stableMs) return this.afterFailure();
    this.failures = 0;
    this.index = (this.index + 1) % this.urls.length;
    return { url: this.current(), delayMs: 0 };
  }

  /** Whether every address has failed since the last one that worked. */
  allFailed(): boolean {
    return this.failures >= this.urls.length;
  }

  private current(): string {
    return this.urls[this.index] ?? this.urls[0];
  }

  private delay(): number {
    const round = Math.floor(this.failures / this.urls.length);
    if (round === 0) return 0;
    // Half of the wait is left to chance, so that many clients do not come back in one moment.
    const full = Math.min(this.times.capMs, this.times.baseMs * 2 ** Math.min(round - 1, 30));
    return full * (0.5 + this.random() / 2);
  }
}
