/** What the answers of the methods must look like. Each function returns the value or throws. */

import { UnexpectedAnswerError } from '../rpc/errors.js';
import { isObject } from '../rpc/json_rpc.js';
import type { Acknowledgement, EncryptedMessage, QueuedMessage, QueueStatus } from './types.js';

function unexpected(method: string, expected: string): never {
  throw new UnexpectedAnswerError(`${method} was not answered with ${expected}`, method);
}

export function booleanOf(method: string, answer: unknown): boolean {
  if (typeof answer === 'boolean') return answer;
  // The service that MPR replaces says null for "no".
  if (answer === null) return false;
  return unexpected(method, 'true or false');
}

export function numberOf(method: string, answer: unknown): number {
  return typeof answer === 'number' ? answer : unexpected(method, 'a number');
}

export function textOf(method: string, answer: unknown): string {
  return typeof answer === 'string' ? answer : unexpected(method, 'a string');
}

/** The id under which a message is kept; `own` when the answer does not tell. */
export function messageIdOf(answer: unknown, own: string): string {
  return isObject(answer) && typeof answer.messageId === 'string' ? answer.messageId : own;
}

export function messagesOf(method: string, answer: unknown): QueuedMessage[] {
  if (!Array.isArray(answer)) return unexpected(method, 'an array');
  return answer.map((item: unknown) => {
    if (!isObject(item) || typeof item.id !== 'string' || !isObject(item.encryptedMessage)) {
      return unexpected(method, 'messages');
    }
    const receivedAt = timeOf(item.receivedAt);
    return {
      id: item.id,
      ...(receivedAt ? { receivedAt } : {}),
      encryptedMessage: item.encryptedMessage as unknown as EncryptedMessage,
    };
  });
}

export function statusOf(method: string, answer: unknown): QueueStatus {
  if (!isObject(answer)) return unexpected(method, 'an object');
  const waited = answer.longestWaitedSeconds;
  return {
    messageCount: numberOf(method, answer.messageCount),
    totalBytes: numberOf(method, answer.totalBytes),
    oldestReceivedTime: timeOf(answer.oldestReceivedTime),
    newestReceivedTime: timeOf(answer.newestReceivedTime),
    longestWaitedSeconds: typeof waited === 'number' ? waited : undefined,
    inFlight: numberOf(method, answer.inFlight),
    liveDelivery: booleanOf(method, answer.liveDelivery),
  };
}

export function acknowledgementOf(method: string, answer: unknown): Acknowledgement {
  if (!isObject(answer)) return unexpected(method, 'an object');
  return {
    removed: numberOf(method, answer.removed),
    remaining: numberOf(method, answer.remaining),
  };
}

function timeOf(value: unknown): Date | undefined {
  if (typeof value !== 'string') return undefined;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
