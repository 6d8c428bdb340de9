/** The frames of JSON-RPC 2.0, as a pure codec: no sockets, no state. */

import type { ErrorAnswer } from './errors.js';

export type Frame =
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: ErrorAnswer }
  | { readonly kind: 'event'; readonly event: string; readonly params: unknown }
  | { readonly kind: 'unknown'; readonly why: string };

export function encodeRequest(id: number, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params, id });
}

/** Never throws: what cannot be understood is said to be so. */
export function decodeFrame(text: string): Frame {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return { kind: 'unknown', why: 'it is no JSON' };
  }
  if (!isObject(frame)) return { kind: 'unknown', why: 'it is no object' };
  if (typeof frame.method === 'string') {
    return { kind: 'event', event: frame.method, params: frame.params };
  }
  const { id } = frame;
  if (typeof id !== 'number') return { kind: 'unknown', why: 'it has no id of ours' };
  // Some servers send "error": null beside a result.
  if (isObject(frame.error)) return { kind: 'error', id, error: errorAnswer(frame.error) };
  if ('result' in frame) return { kind: 'result', id, result: frame.result };
  return { kind: 'unknown', why: 'it has neither result nor error' };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function errorAnswer({ code, message, data }: Record<string, unknown>): ErrorAnswer {
  const details = isObject(data) ? data.details : data;
  return {
    code: typeof code === 'number' ? code : 0,
    message: typeof message === 'string' ? message : 'an error without a message',
    details: typeof details === 'string' ? details : undefined,
  };
}
