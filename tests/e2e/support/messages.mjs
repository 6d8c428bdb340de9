// Connections and messages as a mediator would have them.

import { randomUUID } from 'node:crypto';

export const messageIdPattern = /[-_./a-zA-Z0-9]{8,}/;
export const timestampPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

// No two tests share a connection, so they can share a server.
export function newConnection(label = 'connection') {
  return `${label}-${randomUUID()}`;
}

// Looks like a DIDComm envelope; `n` tells one from another.
export function envelope(n = 0, size = 0) {
  return {
    protected: `eyJlbmMiOiJ4Y2hhY2hhMjBwb2x5MTMwNV9pZXRmIn0-${n}`,
    iv: 'KqGAZWFmJzTrNdWH',
    ciphertext: 'c'.repeat(size),
    tag: 'g1Ujfa5gX2ksFSVzY9nFfw==',
    n,
  };
}

export function add(socket, connectionId, n = 0, more = {}) {
  return socket.call('addMessage', {
    connectionId,
    recipientDids: ['did:key:z6MkA'],
    payload: envelope(n),
    ...more,
  });
}

// Adds `count` messages, one after the other on the wire, and yields their ids in that order.
export async function addMany(socket, connectionId, count, more = {}) {
  const calls = Array.from({ length: count }, (_, n) => add(socket, connectionId, n, more));
  return (await Promise.all(calls)).map((receipt) => receipt.messageId);
}

export async function takeIds(socket, params) {
  return (await socket.call('takeFromQueue', params)).map((message) => message.id);
}

export function countOf(socket, connectionId, more = {}) {
  return socket.call('getAvailableMessageCount', { connectionId, ...more });
}
