// The envelope: what clients see of WebSocket and JSON-RPC before any method is concerned.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { quickStore } from './support/backends.mjs';
import { check, checkWithServer } from './support/case.mjs';
import { add, addMany, countOf, envelope, newConnection, takeIds } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { frame, TcpPeer, upgradeRequest } from './support/tcp_peer.mjs';

const ping = '{"jsonrpc":"2.0","method":"ping","id":1}';
const pong = { jsonrpc: '2.0', result: 'pong', id: 1 };

describe('envelope', () => {
  let server;
  let socket;
  before(async () => {
    server = await Server.start({ env: quickStore });
    socket = await RpcSocket.open(server.url);
  });
  after(async () => {
    socket?.ws.terminate();
    await server?.stop();
  });

  describe('handshake', () => {
    check('sends nothing on connect', async () => {
      const fresh = await RpcSocket.open(server.url);
      await fresh.ask(ping);
      assert.equal(fresh.frames.length, 1);
      assert.deepEqual(JSON.parse(fresh.frames[0]), pong);
      await fresh.close();
    });

    for (const path of ['', '/', '/?', '/?x=1&y=2', '/?socket_id=somebody']) {
      check(`takes the path "${path}"`, async () => {
        const fresh = await RpcSocket.open(server.url + path);
        assert.deepEqual((await fresh.ask(ping)).json, pong);
        await fresh.close();
      });
    }

    check('echoes the first sub-protocol offered', async () => {
      const fresh = await RpcSocket.open(server.url, { protocols: ['first', 'second'] });
      assert.equal(fresh.ws.protocol, 'first');
      assert.deepEqual((await fresh.ask(ping)).json, pong);
      await fresh.close();
    });

    check('names no sub-protocol when none was offered', async () => {
      const peer = await TcpPeer.open(server.ports.ws);
      peer.write(upgradeRequest());
      const head = await peer.head();
      assert.match(head, /^HTTP\/1\.1 101 /);
      assert.doesNotMatch(head, /sec-websocket-protocol/i);
      peer.destroy();
    });

    check('takes any Origin', async () => {
      const fresh = await RpcSocket.open(server.url, { origin: 'https://elsewhere.example' });
      assert.deepEqual((await fresh.ask(ping)).json, pong);
      await fresh.close();
    });

    for (const version of [8, 13]) {
      check(`speaks version ${version}`, async () => {
        const fresh = await RpcSocket.open(server.url, { protocolVersion: version });
        assert.deepEqual((await fresh.ask(ping)).json, pong);
        await fresh.close();
      });
    }

    check('agrees to no extension that it was offered', async () => {
      const fresh = await RpcSocket.open(server.url, { perMessageDeflate: true });
      assert.equal(fresh.ws.extensions, '');
      assert.deepEqual((await fresh.ask(ping)).json, pong);
      await fresh.close();
    });

    check('answers frames that came together with the upgrade request', async () => {
      const peer = await TcpPeer.open(server.ports.ws);
      peer.write(Buffer.concat([Buffer.from(upgradeRequest()), frame(ping)]));
      await peer.head();
      assert.deepEqual(JSON.parse(await peer.text()), pong);
      peer.destroy();
    });

    for (const [what, path, change, status] of [
      [
        'another version',
        '/',
        { headers: { 'Sec-WebSocket-Version': '7' } },
        /^HTTP\/1\.1 4(00|26) /,
      ],
      ['no key', '/', { omit: ['Sec-WebSocket-Key'] }, /^HTTP\/1\.1 400 /],
      ['no upgrade', '/', { omit: ['Upgrade', 'Connection'] }, /^HTTP\/1\.1 4(00|26) /],
    ]) {
      check(`refuses a handshake with ${what} in HTTP`, async () => {
        const peer = await TcpPeer.open(server.ports.ws);
        peer.write(upgradeRequest(path, change));
        assert.match(await peer.head(), status);
        await peer.gone();
      });
    }

    check('refuses a method other than GET in HTTP', async () => {
      const peer = await TcpPeer.open(server.ports.ws);
      peer.write(upgradeRequest().replace('GET', 'POST'));
      assert.match(await peer.head(), /^HTTP\/1\.1 4(00|05) /);
      await peer.gone();
    });
  });

  describe('subscription', () => {
    const on = (...events) => ({ jsonrpc: '2.0', method: 'rpc.on', params: events, id: 1 });
    const off = (...events) => ({ jsonrpc: '2.0', method: 'rpc.off', params: events, id: 2 });

    check('answers the first rpc.on as the clients send it with ok', async () => {
      const fresh = await RpcSocket.open(server.url);
      const { text } = await fresh.ask(
        '{"jsonrpc":"2.0","method":"rpc.on","params":["messagesReceived"],"id":1}',
      );
      assert.deepEqual(JSON.parse(text), {
        jsonrpc: '2.0',
        result: { messagesReceived: 'ok' },
        id: 1,
      });
      await fresh.close();
    });

    check('answers a second rpc.on, an unknown event and rpc.off as results', async () => {
      const fresh = await RpcSocket.open(server.url);
      const outcomes = [];
      for (const request of [
        on('messagesReceived'),
        on('messagesReceived', 'nonsense'),
        off('messagesReceived', 'nonsense'),
        off('messagesReceived'),
        on('messagesReceived'),
      ]) {
        outcomes.push((await fresh.ask(request)).json.result);
      }
      assert.deepEqual(outcomes, [
        { messagesReceived: 'ok' },
        {
          messagesReceived: 'socket has already been subscribed to event',
          nonsense: 'provided event invalid',
        },
        { messagesReceived: 'ok', nonsense: 'provided event invalid' },
        { messagesReceived: 'not subscribed' },
        { messagesReceived: 'ok' },
      ]);
      await fresh.close();
    });

    check('takes the additional events', async () => {
      const fresh = await RpcSocket.open(server.url);
      const { json } = await fresh.ask(
        on('liveSessionReplaced', 'pushTokenInvalid', 'serverDraining'),
      );
      assert.deepEqual(json.result, {
        liveSessionReplaced: 'ok',
        pushTokenInvalid: 'ok',
        serverDraining: 'ok',
      });
      await fresh.close();
    });

    for (const method of ['rpc.on', 'rpc.off']) {
      check(`answers ${method} without params with -32000`, async () => {
        const { json } = await socket.ask({ jsonrpc: '2.0', method, id: 3 });
        assert.deepEqual(
          { ...json, error: { code: json.error.code, message: json.error.message } },
          { jsonrpc: '2.0', error: { code: -32000, message: 'Event not provided' }, id: 3 },
        );
      });

      for (const params of [
        { a: 1 },
        {},
        5,
        true,
        ['toString'],
        ['__proto__'],
        ['constructor'],
        [null],
        [[]],
        [{}],
        [5],
        [],
      ]) {
        check(`${method} with params ${JSON.stringify(params)} harms nobody`, async () => {
          const { json } = await socket.ask({ jsonrpc: '2.0', method, params, id: 4 });
          assert.equal(json.id, 4);
          assert.notEqual('result' in json, 'error' in json);
          for (const outcome of Object.values(json.result ?? {})) {
            assert.equal(outcome, 'provided event invalid');
          }
          assert.deepEqual((await socket.ask(ping)).json, pong);
        });
      }
    }
  });

  describe('ids', () => {
    for (const id of [
      '1',
      '0',
      '-7',
      '1.5',
      '9007199254740991',
      '"a"',
      '""',
      '"0"',
      '"\\u00e9\\n\\"\\\\"',
      '"messagesReceived"',
    ]) {
      check(`echoes the id ${id} as it came`, async () => {
        const { text, json } = await socket.ask(`{"jsonrpc":"2.0","method":"ping","id":${id}}`);
        assert.ok(text.includes(`"id":${id}`), text);
        assert.equal(json.result, 'pong');
      });
    }

    for (const id of ['{}', '{"a":1}', '[]', '[1]', 'true', 'false']) {
      check(`refuses the id ${id} as an invalid request`, async () => {
        const { json } = await socket.ask(`{"jsonrpc":"2.0","method":"ping","id":${id}}`);
        assert.equal(json.error.code, -32600);
        assert.equal(json.id, null);
        assert.ok(!('result' in json));
      });
    }
  });

  describe('notifications', () => {
    for (const [what, id] of [
      ['no id', ''],
      ['a null id', ',"id":null'],
    ]) {
      check(`a request with ${what} is executed and not answered`, async () => {
        const fresh = await RpcSocket.open(server.url);
        const connectionId = newConnection();
        const params = JSON.stringify({
          connectionId,
          recipientDids: ['did:key:z6MkA'],
          payload: envelope(),
        });
        fresh.send(`{"jsonrpc":"2.0","method":"addMessage","params":${params}${id}}`);
        assert.equal(await countOf(fresh, connectionId), 1);
        assert.equal(fresh.frames.length, 1);
        await fresh.close();
      });
    }

    for (const [what, text, code] of [
      ['a wrong version', '{"jsonrpc":"1.0","method":"ping"}', -32600],
      ['a method that is no string', '{"jsonrpc":"2.0","method":7}', -32600],
      ['no method', '{"jsonrpc":"2.0"}', -32602],
      ['an unknown method', '{"jsonrpc":"2.0","method":"nonsense"}', -32601],
    ]) {
      check(`${what} without an id is answered with id null`, async () => {
        const { json } = await socket.ask(text);
        assert.equal(json.error.code, code);
        assert.equal(json.id, null);
      });
    }
  });

  describe('errors', () => {
    for (const [what, text, expected] of [
      [
        'text that is no JSON',
        '{"jsonrpc":"2.0",',
        { code: -32700, message: 'Parse error', id: null },
      ],
      ['an empty frame', '', { code: -32700, message: 'Parse error', id: null }],
      ['two values', '{} {}', { code: -32700, message: 'Parse error', id: null }],
      ['null', 'null', { code: -32600, message: 'Invalid Request', id: null }],
      ['a number', '5', { code: -32600, message: 'Invalid Request', id: null }],
      ['a string', '"ping"', { code: -32600, message: 'Invalid Request', id: null }],
      ['true', 'true', { code: -32600, message: 'Invalid Request', id: null }],
      [
        'an empty object',
        '{}',
        { code: -32600, message: 'Invalid Request', data: 'Invalid JSON RPC version', id: null },
      ],
      [
        'no version',
        '{"method":"ping","id":7}',
        { code: -32600, message: 'Invalid Request', data: 'Invalid JSON RPC version', id: 7 },
      ],
      [
        'version 1.0',
        '{"jsonrpc":"1.0","method":"ping","id":"x"}',
        { code: -32600, message: 'Invalid Request', data: 'Invalid JSON RPC version', id: 'x' },
      ],
      [
        'version 2.0 as a number',
        '{"jsonrpc":2.0,"method":"ping","id":7}',
        { code: -32600, message: 'Invalid Request', data: 'Invalid JSON RPC version', id: 7 },
      ],
      [
        'a method that is a number',
        '{"jsonrpc":"2.0","method":5,"id":7}',
        { code: -32600, message: 'Invalid Request', data: 'Invalid method name', id: 7 },
      ],
      [
        'a method that is an object',
        '{"jsonrpc":"2.0","method":{"a":1},"id":7}',
        { code: -32600, message: 'Invalid Request', data: 'Invalid method name', id: 7 },
      ],
      [
        'no method',
        '{"jsonrpc":"2.0","id":7}',
        { code: -32602, message: 'Invalid params', data: 'Method not specified', id: 7 },
      ],
      [
        'an unknown method',
        '{"jsonrpc":"2.0","method":"nonsense","id":7}',
        { code: -32601, message: 'Method not found', id: 7 },
      ],
      [
        'a method of every JavaScript object',
        '{"jsonrpc":"2.0","method":"toString","id":7}',
        { code: -32601, message: 'Method not found', id: 7 },
      ],
      [
        'the method __proto__',
        '{"jsonrpc":"2.0","method":"__proto__","id":7}',
        { code: -32601, message: 'Method not found', id: 7 },
      ],
      [
        'rpc.login without params',
        '{"jsonrpc":"2.0","method":"rpc.login","id":7}',
        { code: -32604, message: 'Params not found', id: 7 },
      ],
      [
        'an empty batch',
        '[]',
        { code: -32600, message: 'Invalid Request', data: 'Invalid array', id: null },
      ],
    ]) {
      check(`${what} is answered with ${expected.code}`, async () => {
        const { json } = await socket.ask(text);
        const { code, message, data } = json.error;
        const got = { code, message, id: json.id };
        if ('data' in expected) got.data = data;
        assert.deepEqual(got, expected);
        assert.deepEqual(Object.keys(json).sort(), ['error', 'id', 'jsonrpc']);
      });
    }

    check('params that are a string are refused with the id echoed', async () => {
      const { json } = await socket.ask(
        '{"jsonrpc":"2.0","method":"getLiveSession","params":"x","id":7}',
      );
      assert.equal(json.id, 7);
      assert.ok([-32600, -32602].includes(json.error.code));
    });

    check('bad params name the field in data.details', async () => {
      const failure = await socket.refusal('getAvailableMessageCount', { connectionId: 5 });
      assert.equal(failure.code, -32602);
      assert.match(failure.message, /^-32602 Invalid params/);
      assert.match(failure.data.details, /connectionId/);
    });
  });

  check('each answer has exactly one of result and error', async () => {
    const connectionId = newConnection();
    const requests = [
      ['ping'],
      ['__listMethods'],
      ['nonsense'],
      ['addMessage', { connectionId, recipientDids: [], payload: {} }],
      ['addMessage', { connectionId, recipientDids: [] }],
      ['takeFromQueue', { connectionId }],
      ['takeFromQueue', {}],
      ['takeFromQueue'],
      ['getAvailableMessageCount', { connectionId }],
      ['getQueueStatus', { connectionId }],
      ['addLiveSession', { connectionId, sessionId: 's' }],
      ['getLiveSession', { connectionId }],
      ['removeLiveSession', { connectionId }],
      ['removeMessages', { connectionId, messageIds: [] }],
      ['removeAllMessages', { connectionId }],
      ['rpc.on', ['messagesReceived']],
      ['rpc.off', ['messagesReceived']],
      ['rpc.on', { a: 1 }],
    ];
    const answers = [];
    for (const [method, params] of requests) {
      answers.push((await socket.ask({ jsonrpc: '2.0', method, params, id: 1 })).json);
    }
    for (const answer of answers) {
      assert.notEqual('result' in answer, 'error' in answer, JSON.stringify(answer));
      assert.equal(answer.jsonrpc, '2.0');
    }
  });

  describe('frames', () => {
    check('takes binary frames as text and answers in text frames', async () => {
      const { json, isBinary } = await socket.ask(Buffer.from(ping), { binary: true });
      assert.deepEqual(json, pong);
      assert.equal(isBinary, false);
    });

    check('puts fragments together, with a ping in between', async () => {
      const peer = await TcpPeer.upgraded(server.ports.ws);
      const parts = [ping.slice(0, 5), ping.slice(5, 6), '', ping.slice(6)];
      peer.write(frame(parts[0], { fin: false }));
      peer.write(frame(parts[1], { opcode: 0, fin: false }));
      peer.write(frame('are you there', { opcode: 9 }));
      peer.write(frame(parts[2], { opcode: 0, fin: false }));
      peer.write(frame(parts[3], { opcode: 0 }));
      const received = [await peer.next(), await peer.next()];
      assert.deepEqual(
        received.map(({ opcode, masked }) => ({ opcode, masked })),
        [
          { opcode: 10, masked: false },
          { opcode: 1, masked: false },
        ],
      );
      assert.equal(received[0].payload.toString(), 'are you there');
      assert.deepEqual(JSON.parse(received[1].payload), pong);
      peer.destroy();
    });

    check('takes a frame that arrives byte by byte', async () => {
      const peer = await TcpPeer.upgraded(server.ports.ws);
      for (const byte of frame(ping)) {
        peer.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.deepEqual(JSON.parse(await peer.text()), pong);
      peer.destroy();
    });

    check('takes many frames that arrive at once', async () => {
      const peer = await TcpPeer.upgraded(server.ports.ws);
      peer.write(
        Buffer.concat(
          Array.from({ length: 1000 }, (_, id) =>
            frame(`{"jsonrpc":"2.0","method":"ping","id":${id}}`),
          ),
        ),
      );
      const ids = new Set();
      while (ids.size < 1000) ids.add(JSON.parse(await peer.text()).id);
      assert.equal(ids.size, 1000);
      peer.destroy();
    });

    check('takes a frame of 16 MiB with default settings', async () => {
      const connectionId = newConnection();
      const head = `{"jsonrpc":"2.0","method":"addMessage","id":1,"params":{"connectionId":"${
        connectionId
      }","recipientDids":[],"payload":{"c":"`;
      const text = `${head}${'x'.repeat(16 * 1024 * 1024 - head.length - 4)}"}}}`;
      assert.equal(text.length, 16 * 1024 * 1024);
      const { json } = await socket.ask(text);
      assert.equal(typeof json.result?.messageId, 'string', JSON.stringify(json).slice(0, 200));
      await socket.call('removeAllMessages', { connectionId });
    });

    check('answers a close frame with the same code', async () => {
      for (const code of [1000, 1001, 4000]) {
        const peer = await TcpPeer.upgraded(server.ports.ws);
        const payload = Buffer.alloc(2);
        payload.writeUInt16BE(code);
        peer.write(frame(payload, { opcode: 8 }));
        assert.equal(await peer.closeCode(), code);
        await peer.gone();
      }
    });

    for (const [what, bytes, code] of [
      ['invalid UTF-8', frame(Buffer.from([0x22, 0xff, 0xfe, 0x22])), 1007],
      ['a surrogate encoded as UTF-8', frame(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), 1007],
      [
        'invalid UTF-8 in a binary frame',
        frame(Buffer.from([0x22, 0xc0, 0xaf, 0x22]), { opcode: 2 }),
        1007,
      ],
      ['an unmasked frame', frame(ping, { masked: false }), 1002],
      ['a reserved bit', frame(ping, { rsv: 4 }), 1002],
      ['a reserved opcode', frame(ping, { opcode: 3 }), 1002],
      ['a reserved control opcode', frame('', { opcode: 11 }), 1002],
      ['a continuation of nothing', frame(ping, { opcode: 0 }), 1002],
      [
        'a text frame inside a fragmented message',
        Buffer.concat([frame('{', { fin: false }), frame(ping)]),
        1002,
      ],
      ['a fragmented ping', frame('a', { opcode: 9, fin: false }), 1002],
      ['a ping of 126 bytes', frame('a'.repeat(126), { opcode: 9 }), 1002],
      ['a close frame of one byte', frame('a', { opcode: 8 }), 1002],
      [
        'a close frame with a code that nobody may send',
        frame(Buffer.from([0x03, 0xed]), { opcode: 8 }),
        1002,
      ],
    ]) {
      check(`closes with ${code} upon ${what}`, async () => {
        const peer = await TcpPeer.upgraded(server.ports.ws);
        peer.write(bytes);
        assert.equal(await peer.closeCode(), code);
        await peer.gone();
      });
    }

    check('closes upon a length that is negative in 64 bits', async () => {
      const peer = await TcpPeer.upgraded(server.ports.ws);
      peer.write(frame('', { lengthBytes: 8, declaredLength: 1n << 63n }));
      assert.ok([1002, 1009].includes(await peer.closeCode()));
      await peer.gone();
    });
  });

  check('a call that waits for nothing overtakes none of its own connection', async () => {
    const connectionId = newConnection();
    const calls = [];
    for (let n = 0; n < 50; n += 1) {
      calls.push(add(socket, connectionId, n));
      calls.push(countOf(socket, connectionId));
    }
    const outcomes = await Promise.all(calls);
    assert.deepEqual(
      outcomes.filter((_, index) => index % 2 === 1),
      Array.from({ length: 50 }, (_, n) => n + 1),
    );
  });

  check('requests of different connections run side by side and find their answers', async () => {
    const fresh = await RpcSocket.open(server.url);
    const connections = Array.from({ length: 200 }, () => newConnection());
    await Promise.all(
      connections.flatMap((connectionId, n) =>
        Array.from({ length: n % 5 }, (_, i) => add(fresh, connectionId, i)),
      ),
    );
    const counts = await Promise.all(connections.map((id) => countOf(fresh, id)));
    assert.deepEqual(
      counts,
      connections.map((_, n) => n % 5),
    );
    await fresh.close();
  });
});

checkWithServer(
  'a frame over the configured bound is closed with 1009',
  { env: { ...quickStore, MPR_MAX_FRAME_BYTES: '1MiB', MPR_MAX_MESSAGE_BYTES: '512KiB' } },
  async (server) => {
    const whole = await TcpPeer.upgraded(server.ports.ws);
    const fragmented = await TcpPeer.upgraded(server.ports.ws);
    const allowed = await RpcSocket.open(server.url);
    whole.write(frame('', { declaredLength: 1024 * 1024 + 1 }));
    fragmented.write(frame('a'.repeat(600 * 1024), { fin: false }));
    fragmented.write(frame('a'.repeat(600 * 1024), { opcode: 0 }));
    assert.equal(await whole.closeCode(), 1009);
    assert.equal(await fragmented.closeCode(), 1009);
    const { json } = await allowed.ask(ping + ' '.repeat(1024 * 1024 - ping.length));
    assert.deepEqual(json, pong);
    await allowed.close();
  },
);

checkWithServer(
  'a failure inside a method is answered with code, message and data.details',
  { env: { ...quickStore, MPR_MAX_QUEUE_MESSAGES: '2' } },
  async (server) => {
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    await add(socket, connectionId, 1);
    await add(socket, connectionId, 2);
    const failure = await socket.refusal('addMessage', {
      connectionId,
      recipientDids: [],
      payload: envelope(3),
    });
    assert.equal(typeof failure.code, 'number');
    assert.match(failure.data.details, /2/);
    assert.equal(await countOf(socket, connectionId), 2);
    await socket.close();
  },
);

checkWithServer(
  'more calls at once than the bound are all answered, in their own time',
  { env: { ...quickStore, MPR_MAX_CALLS_IN_FLIGHT: '4' } },
  async (server) => {
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    const ids = await addMany(socket, connectionId, 1000);
    assert.deepEqual(await takeIds(socket, { connectionId }), ids);
    await socket.close();
  },
);
