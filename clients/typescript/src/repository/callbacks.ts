/**
 * Calls the mediator's own functions, whose failures are written down and never end the process.
 */

import { causeOf, type ClientLogger } from '../logging.js';
import type { MaybePromise } from './types.js';

/**
 * What the callback yields, or undefined when it throws, rejects or takes too long.
 */
export async function ask<T>(
  what: string,
  callback: () => MaybePromise<T>,
  patienceMs: number,
  logger: ClientLogger,
): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      logger.warn(`The ${what} callback has not ended in time`, { milliseconds: patienceMs });
      resolve(undefined);
    }, patienceMs);
  });
  const outcome = (async () => callback())().catch((error: unknown) => {
    logger.error(`The ${what} callback failed`, { cause: causeOf(error) });
    return undefined;
  });
  try {
    return await Promise.race([outcome, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs tasks of one key one after the other, and tasks of different keys side by side. A task that
 * fails does not keep the next one from running.
 */
export class Lanes {
  private readonly tails = new Map<string, Promise<void>>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key);
    const result = before ? before.then(task) : task();
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    this.tails.set(key, tail);
    void tail.then(() => {
      if (this.tails.get(key) === tail) this.tails.delete(key);
    });
    return result;
  }
}
