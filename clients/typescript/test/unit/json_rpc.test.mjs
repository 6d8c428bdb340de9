import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeFrame, encodeRequest } from '../../dist/esm/rpc/json_rpc.js';

test('a request has the members of JSON-RPC 2.0, and undefined parameters are absent', () => {
  assert.deepEqual(JSON.parse(encodeRequest(7, 'm', { a: 1, b: undefined })), {
    jsonrpc: '2.0',
    method: 'm',
    params: { a: 1 },
    id: 7,
  });
});

const frames = [
  ['a result', '{"jsonrpc":"2.0","result":[],"id":1}', { kind: 'result', id: 1, result: [] }],
  ['a null result', '{"jsonrpc":"2.0","result":null,"id":1}', { kind: 'result', id: 1, result: null }],
  [
    'a result beside a null error',
    '{"jsonrpc":"2.0","result":1,"error":null,"id":1}',
    { kind: 'result', id: 1, result: 1 },
  ],
  [
    'an error with details',
    '{"jsonrpc":"2.0","error":{"code":503,"message":"m","data":{"details":"d"}},"id":1}',
    { kind: 'error', id: 1, error: { code: 503, message: 'm', details: 'd' } },
  ],
  [
    'an error with a reason as text',
    '{"jsonrpc":"2.0","error":{"code":-32600,"message":"m","data":"d"},"id":1}',
    { kind: 'error', id: 1, error: { code: -32600, message: 'm', details: 'd' } },
  ],
  [
    'an error without anything',
    '{"jsonrpc":"2.0","error":{},"id":1}',
    {
      kind: 'error',
      id: 1,
      error: { code: 0, message: 'an error without a message', details: undefined },
    },
  ],
  [
    'an event',
    '{"jsonrpc":"2.0","method":"e","params":{"a":1}}',
    { kind: 'event', event: 'e', params: { a: 1 } },
  ],
  ['no JSON', '{', { kind: 'unknown', why: 'it is no JSON' }],
  ['an array', '[]', { kind: 'unknown', why: 'it is no object' }],
  ['null', 'null', { kind: 'unknown', why: 'it is no object' }],
  [
    'an error about what was no request',
    '{"jsonrpc":"2.0","error":{"code":-32700},"id":null}',
    { kind: 'unknown', why: 'it has no id of ours' },
  ],
  [
    'neither result nor error',
    '{"jsonrpc":"2.0","id":1}',
    { kind: 'unknown', why: 'it has neither result nor error' },
  ],
];

for (const [what, text, frame] of frames) {
  test(`${what} is understood`, () => assert.deepEqual(decodeFrame(text), frame));
}
