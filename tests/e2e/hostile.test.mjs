// Hostile input: whatever is fired at the server, it stays healthy and stores nothing of it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe } from 'node:test';

import { backend, quickStore } from './support/backends.mjs';
import { check, checkWithServer } from './support/case.mjs';
import { request } from './support/http.mjs';
import { add, addMany, countOf, newConnection, takeIds } from './support/messages.mjs';
import { RpcSocket } from './support/rpc_socket.mjs';
import { Server } from './support/server.mjs';
import { frame, TcpPeer, upgradeRequest } from './support/tcp_peer.mjs';
import { until, within } from './support/wait.mjs';

const jsonRpc = (method, params, id = 1) => ({ jsonrpc: '2.0', method, params, id });

// A request with a payload that JSON.stringify would not write.
const withPayload = (text) =>
  JSON.stringify(
    jsonRpc('addMessage', { connectionId: 'c-hostile', recipientDids: [], payload: 'here' }),
  ).replace('"here"', () => text);

// Small generator with a seed, so that a failing round can be repeated.
function randomNumbers(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function pendingMessages(server) {
  const { body } = await request(`${server.opsUrl}/metrics`);
  return Number(/^mpr_messages_pending\S* (\d+)$/m.exec(body)[1]);
}

describe('hostile input', () => {
  let server;
  let socket;
  const mine = newConnection('untouched');
  let kept;

  before(async () => {
    server = await Server.start({ env: { MPR_HANDSHAKE_TIMEOUT_MS: '3000' } });
    socket = await RpcSocket.open(server.url);
    kept = await addMany(socket, mine, 3);
  });
  after(async () => {
    socket?.ws.terminate();
    await server?.stop();
  });

  // The server answers on all its doors, and holds exactly what it held before.
  async function expectHealthy() {
    assert.equal(await socket.call('ping'), 'pong');
    const pages = await Promise.all(
      ['/healthz', '/readyz'].map(async (path) => (await request(server.opsUrl + path)).status),
    );
    assert.deepEqual(pages, [200, 200]);
    assert.equal(await countOf(socket, mine), 3);
    assert.deepEqual(await takeIds(socket, { connectionId: mine }), kept);
    if (backend !== 'embedded') return; // what is in Redis is in no metric
    await until(async () => (await pendingMessages(server)) === 3, 'nothing else is stored');
  }

  // Fires and expects the server to be healthy afterwards.
  const attack = (name, body, options) =>
    check(
      name,
      async (t) => {
        await body(t);
        await expectHealthy();
      },
      options,
    );

  describe('parameters', () => {
    const good = {
      addMessage: { connectionId: 'c-hostile', recipientDids: ['did:key:z6MkA'], payload: {} },
      addMessages: { messages: [{ connectionId: 'c-hostile', recipientDids: [], payload: {} }] },
      takeFromQueue: { connectionId: 'c-hostile' },
      getAvailableMessageCount: { connectionId: 'c-hostile' },
      getQueueStatus: { connectionId: 'c-hostile' },
      removeMessages: { connectionId: 'c-hostile', messageIds: ['message-1'] },
      acknowledge: { connectionId: 'c-hostile', messageIds: ['message-1'] },
      removeAllMessages: { connectionId: 'c-hostile' },
      addLiveSession: { connectionId: 'c-hostile', sessionId: 'session-1' },
      removeLiveSession: { connectionId: 'c-hostile' },
      getLiveSession: { connectionId: 'c-hostile' },
      'rpc.login': { token: 'token' },
    };
    const long = 'x'.repeat(256);
    const noString = [5, 0, 1.5, true, false, {}, { $ne: null }, { $gt: '' }, [], ['x'], '', long];
    const optionalString = noString.filter((value) => value !== '');
    const noList = [
      5,
      true,
      'text',
      {},
      { length: 1 },
      { 0: 'x' },
      [5],
      [null],
      [{}],
      [['x']],
      [{ $ne: null }],
    ];
    const noNumber = ['5', 'all', true, {}, [], [5], -1, 1.5, -0.5, 1e300, { $gt: 0 }];
    const noBoolean = ['true', 1, 0, {}, []];
    const noObject = [5, true, 'text', [], [{}]];
    const required = (values) => [null, undefined, ...values];

    // [method, member, values that are wrong for it]
    const table = [
      ['addMessage', 'payload', required(noObject)],
      ['addMessage', 'recipientDids', required([...noList, [long.repeat(10)]])],
      [
        'addMessage',
        'pushNotificationToken',
        [
          5,
          true,
          'text',
          [],
          { type: 5, token: 't' },
          { type: 'fcm', token: 5 },
          { type: 'fcm', token: {} },
          { type: 'pigeon', token: 't' },
        ],
      ],
      ['addMessage', 'messageId', [...optionalString, 'short', 'ab cd ef gh ij kl']],
      ['addMessage', 'receivedAt', [5, true, {}, [], 'yesterday', '2026-13-45T99:99:99.000Z']],
      ['addMessage', 'ttlSeconds', [...noNumber, 0]],
      ['addMessages', 'messages', required([5, true, 'text', {}, [5], [null], ['x'], [[]], [{}]])],
      ['takeFromQueue', 'recipientDid', noString.filter((v) => v !== '' && v !== long)],
      ['takeFromQueue', 'limit', noNumber],
      ['takeFromQueue', 'limitBytes', noNumber],
      ['takeFromQueue', 'deleteMessages', noBoolean],
      ['getAvailableMessageCount', 'recipientDid', noString.filter((v) => v !== '' && v !== long)],
      ['getQueueStatus', 'recipientDid', noString.filter((v) => v !== '' && v !== long)],
      ['removeAllMessages', 'recipientDid', noString.filter((v) => v !== '' && v !== long)],
      ['removeMessages', 'messageIds', required(noList)],
      ['acknowledge', 'messageIds', required(noList)],
      ['addLiveSession', 'sessionId', required(noString)],
      ['removeLiveSession', 'sessionId', optionalString],
      ...Object.keys(good)
        .filter((method) => 'connectionId' in good[method])
        .map((method) => [method, 'connectionId', required(noString)]),
    ];

    for (const [method, member, wrong] of table) {
      attack(`${method} refuses every wrong ${member} and names it`, async () => {
        for (const value of wrong) {
          const params = { ...good[method], [member]: value };
          if (value === undefined) delete params[member];
          const { json } = await socket.ask(jsonRpc(method, params));
          const shown = JSON.stringify(value)?.slice(0, 60);
          const what = `${member} = ${shown}: ${JSON.stringify(json)}`;
          assert.equal(json.error?.code, -32602, what);
          assert.ok(json.error.data.details.includes(member), what);
        }
      });
    }

    attack('no method takes params that are no object', async () => {
      for (const method of Object.keys(good)) {
        for (const params of [[], ['c-hostile'], [good[method]], 5, true, 'c-hostile', [null]]) {
          const { json } = await socket.ask(jsonRpc(method, params));
          assert.ok(
            'error' in json,
            `${method} ${JSON.stringify(params)}: ${JSON.stringify(json)}`,
          );
        }
      }
    });

    attack("members named like JavaScript's own change nothing", async () => {
      for (const method of Object.keys(good)) {
        const params = JSON.stringify(good[method]).replace(
          /^\{/,
          '{"__proto__":{"connectionId":"x","admin":true},"constructor":{"prototype":{}},',
        );
        const text = `{"jsonrpc":"2.0","__proto__":{"id":9},"method":"${method}","params":${
          params
        },"id":1}`;
        const { json } = await socket.ask(text);
        assert.equal(json.id, 1, method);
        assert.notEqual('result' in json, 'error' in json);
      }
      await socket.call('removeAllMessages', { connectionId: 'c-hostile' });
      await socket.call('removeLiveSession', { connectionId: 'c-hostile' });
    });

    attack('a connectionId given as an operator reads, counts and deletes nothing', async () => {
      for (const operator of [
        '{"$ne":null}',
        '{"$gt":""}',
        '{"$regex":".*"}',
        'null',
        '[]',
        `["${mine}"]`,
        `{"$in":["${mine}"]}`,
        'true',
        '0',
      ]) {
        for (const method of [
          'takeFromQueue',
          'getAvailableMessageCount',
          'removeAllMessages',
          'getQueueStatus',
          'getLiveSession',
          'removeLiveSession',
        ]) {
          const { json } = await socket.ask(
            `{"jsonrpc":"2.0","method":"${
              method
            }","params":{"connectionId":${operator},"deleteMessages":true},"id":1}`,
          );
          assert.equal(json.error?.code, -32602, `${method} ${operator}`);
        }
      }
    });

    attack('a connectionId with control characters stores nothing elsewhere', async () => {
      for (const connectionId of ['\u0000', `${mine}\u0000`, `\r\n${mine}`, '\u001b[2J']) {
        const { json } = await socket.ask(
          jsonRpc('addMessage', { ...good.addMessage, connectionId }),
        );
        assert.notEqual('result' in json, 'error' in json);
        if ('result' in json) await socket.call('removeAllMessages', { connectionId });
      }
    });

    attack('escaped lone surrogates are answered', async () => {
      for (const text of [
        '{"jsonrpc":"2.0","method":"getLiveSession","params":{"connectionId":"\\ud800"},"id":1}',
        '{"jsonrpc":"2.0","method":"ping","id":"\\udc00"}',
        '{"jsonrpc":"2.0","method":"\\ud800","id":1}',
      ]) {
        const { json } = await socket.ask(text);
        assert.notEqual('result' in json, 'error' in json);
      }
    });
  });

  describe('text', () => {
    attack('deep nesting is a parse error', async () => {
      for (const depth of [200, 1000, 100_000, 1_000_000]) {
        for (const [left, right] of [
          ['[', ']'],
          ['{"a":', '}'],
        ]) {
          const core = left === '[' ? '' : '1';
          const nest = left.repeat(depth) + core + right.repeat(depth);
          const payload = withPayload(`{"a":${nest}}`);
          for (const text of [nest, left.repeat(depth), payload]) {
            const { json } = await socket.ask(text);
            assert.equal(json.error?.code, -32700, `${depth} ${left}`);
          }
        }
      }
    });

    attack('broken JSON of every kind is a parse error', async () => {
      for (const text of [
        '{',
        '}',
        '[',
        ']',
        '"',
        ':',
        ',',
        '{]',
        '[}',
        '{"a"}',
        '{"a":}',
        '{,}',
        '[1,]',
        '[,1]',
        '01',
        '+1',
        '.5',
        '1.',
        '1e',
        '0x10',
        'nul',
        'NaN',
        'Infinity',
        '-',
        '"\\x"',
        '"\\u12"',
        '"\n"',
        '"\t"',
        "{'a':1}",
        '/* */ {}',
        '{"a":1}}',
        '[] []',
        '\u0000',
        '\ufeff{"jsonrpc":"2.0","method":"ping","id":1}x',
        ' ',
        '\n\t\r ',
      ]) {
        const { json } = await socket.ask(text);
        assert.equal(json.error?.code, -32700, JSON.stringify(text));
        assert.equal(json.id, null);
      }
    });

    attack('a request cut off anywhere is a parse error', async () => {
      const whole = JSON.stringify(
        jsonRpc('addMessage', {
          connectionId: 'c-hostile',
          recipientDids: ['did:key:é'],
          payload: { a: [1, 'é'] },
        }),
      );
      for (let end = 0; end < whole.length; end += 1) {
        const { json } = await socket.ask(whole.slice(0, end));
        assert.equal(json.error?.code, -32700, whole.slice(0, end));
      }
    });

    attack('huge members are refused or ignored', async () => {
      const big = 'x'.repeat(4 * 1024 * 1024);
      for (const text of [
        `{"jsonrpc":"2.0","method":"${big}","id":1}`,
        `{"jsonrpc":"2.0","method":"getLiveSession","params":{"connectionId":"${big}"},"id":1}`,
        `{"jsonrpc":"2.0","method":"rpc.on","params":["${big}"],"id":1}`,
        `{"jsonrpc":"${big}","method":"ping","id":1}`,
        `[${'1,'.repeat(500_000)}1]`,
        `{"jsonrpc":"2.0","method":"ping","id":1,"x":[${'[],'.repeat(500_000)}0]}`,
        `{"jsonrpc":"2.0","method":"rpc.on","params":[${'"a",'.repeat(100_000)}"a"],"id":1}`,
        JSON.stringify(
          jsonRpc('removeMessages', {
            connectionId: 'c-hostile',
            messageIds: Array(90_000).fill('message-1'),
          }),
        ),
      ]) {
        const { json } = await socket.ask(text);
        assert.ok(json !== undefined);
      }
    });

    attack('random JSON-like requests are answered', async (t) => {
      const seed = Date.now() % 2 ** 31;
      t.diagnostic(`seed ${seed}`);
      const random = randomNumbers(seed);
      const pick = (list) => list[random(list.length)];
      const values = () =>
        pick([
          '{}',
          '[]',
          'null',
          'true',
          '0',
          '-1',
          '1e9',
          '""',
          '"x"',
          '"c-hostile"',
          '{"$ne":null}',
          '[1,[2,{"a":null}]]',
          '"messagesReceived"',
          '1e400',
          '-0',
        ]);
      for (let round = 0; round < 1500; round += 1) {
        const members = Array.from(
          { length: random(5) },
          () =>
            `"${pick([
              'connectionId',
              'messageIds',
              'limit',
              'sessionId',
              '__proto__',
              'a',
            ])}":${values()}`,
        );
        const params = pick([`{${members.join(',')}}`, values(), `[${values()}]`]);
        const method = pick([
          'takeFromQueue',
          'getAvailableMessageCount',
          'removeMessages',
          'removeAllMessages',
          'getLiveSession',
          'removeLiveSession',
          'rpc.on',
          'rpc.off',
          'rpc.login',
          '__listMethods',
          'ping',
          'addMessage',
          'nonsense',
        ]);
        const { json } = await socket.ask(
          `{"jsonrpc":"2.0","method":"${method}","params":${params},"id":${round}}`,
        );
        assert.notEqual('result' in json, 'error' in json, JSON.stringify(json));
      }
    });
  });

  describe('bytes', () => {
    attack('random bytes instead of a handshake', async () => {
      const peers = await Promise.all(
        Array.from({ length: 50 }, () => TcpPeer.open(server.ports.ws)),
      );
      for (const peer of peers) peer.write(randomBytes(300));
      await Promise.all(peers.map((peer) => peer.gone(10_000)));
    });

    attack('random bytes behind a handshake', async () => {
      const peers = await Promise.all(
        Array.from({ length: 100 }, () => TcpPeer.upgraded(server.ports.ws)),
      );
      for (const peer of peers) {
        peer.write(randomBytes(2000));
        peer.socket.end();
      }
      await Promise.all(peers.map((peer) => peer.gone(10_000)));
    });

    attack('frames with one bit flipped', async () => {
      const whole = frame(JSON.stringify(jsonRpc('getLiveSession', { connectionId: 'c-hostile' })));
      const peers = [];
      for (let bit = 0; bit < 16 * 8; bit += 1) {
        const damaged = Buffer.from(whole);
        damaged[bit >> 3] ^= 1 << (bit & 7);
        const peer = await TcpPeer.upgraded(server.ports.ws);
        peer.write(damaged);
        peer.socket.end();
        peers.push(peer);
      }
      await Promise.all(peers.map((peer) => peer.gone(10_000)));
    });

    attack('frames that announce giant lengths', async () => {
      const lengths = [2 ** 31, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER];
      for (const declaredLength of [...lengths, 2n ** 63n - 1n, 2n ** 64n - 1n]) {
        const peer = await TcpPeer.upgraded(server.ports.ws);
        peer.write(frame('x', { declaredLength, lengthBytes: 8 }));
        assert.ok([1002, 1009].includes(await peer.closeCode()), String(declaredLength));
        await peer.gone();
      }
    });

    attack('frames that stop in the middle', async () => {
      const whole = frame(JSON.stringify(jsonRpc('ping')));
      const peers = [];
      for (let end = 0; end < whole.length; end += 1) {
        const peer = await TcpPeer.upgraded(server.ports.ws);
        peer.write(whole.subarray(0, end));
        peers.push(peer);
      }
      for (const peer of peers) peer.destroy();
      await Promise.all(peers.map((peer) => peer.gone()));
    });

    attack('many tiny fragments', async () => {
      const peer = await TcpPeer.upgraded(server.ports.ws);
      const text = JSON.stringify(jsonRpc('ping'));
      const parts = [frame(text.slice(0, 1), { fin: false })];
      for (let n = 0; n < 20_000; n += 1) parts.push(frame('', { opcode: 0, fin: false }));
      parts.push(frame(text.slice(1), { opcode: 0 }));
      peer.write(Buffer.concat(parts));
      assert.equal(JSON.parse(await peer.text()).result, 'pong');
      peer.destroy();
    });

    attack('a flood of pings', async () => {
      const peer = await TcpPeer.upgraded(server.ports.ws);
      const ping = frame('x'.repeat(125), { opcode: 9 });
      peer.write(Buffer.concat(Array.from({ length: 20_000 }, () => ping)));
      peer.write(frame(JSON.stringify(jsonRpc('ping'))));
      for (;;) {
        const received = await peer.next(10_000);
        if (received.opcode === 1) break;
        assert.equal(received.opcode, 10);
      }
      peer.destroy();
    });

    attack('a caller that never reads its answers', async () => {
      const peer = await TcpPeer.upgraded(server.ports.ws);
      peer.socket.pause();
      const list = frame(JSON.stringify(jsonRpc('__listMethods')));
      const flood = Buffer.concat(Array.from({ length: 1000 }, () => list));
      for (let n = 0; n < 60; n += 1) peer.write(flood);
      for (let n = 0; n < 20; n += 1)
        assert.equal(await socket.call('ping', undefined, 2000), 'pong');
      peer.destroy();
    });
  });

  describe('handshakes', () => {
    attack('that never end are ended', async () => {
      const peers = await Promise.all(
        Array.from({ length: 100 }, () => TcpPeer.open(server.ports.ws)),
      );
      for (const [n, peer] of peers.entries()) peer.write(upgradeRequest().slice(0, n));
      await Promise.all(peers.map((peer) => peer.gone(10_000)));
    });

    attack('that come drop by drop are ended', async () => {
      const peer = await TcpPeer.open(server.ports.ws);
      peer.write('GET / HTTP/1.1\r\n');
      let lines = 0;
      const dripping = setInterval(() => {
        lines += 1;
        peer.write(`X-${lines}: y\r\n`);
      }, 50);
      try {
        await peer.gone(10_000);
      } finally {
        clearInterval(dripping);
      }
    });

    attack('with endless headers are refused', async () => {
      const peer = await TcpPeer.open(server.ports.ws);
      peer.write(`GET / HTTP/1.1\r\nX: ${'x'.repeat(200_000)}`);
      await peer.gone(10_000);
    });

    for (const [what, text] of [
      ['an endless target', `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`],
      [
        'another protocol',
        '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003\r\n\r\n',
      ],
      ['HTTP/1.0', upgradeRequest().replace('HTTP/1.1', 'HTTP/1.0')],
      ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
      ['a key that is none', upgradeRequest('/', { headers: { 'Sec-WebSocket-Key': 'short' } })],
      [
        'two lengths',
        upgradeRequest().replace(
          '\r\n\r\n',
          '\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
        ),
      ],
      ['a header without a name', 'GET / HTTP/1.1\r\n: value\r\n\r\n'],
      ['a NUL', 'GET /\u0000 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ]) {
      attack(`with ${what} are no upgrade`, async () => {
        const peer = await TcpPeer.open(server.ports.ws);
        peer.write(Buffer.from(text, 'latin1'));
        const head = await peer.head();
        assert.doesNotMatch(head, /^HTTP\/1\.1 101/);
        await peer.gone(10_000);
      });
    }

    attack('on the ops port are harmless', async () => {
      for (const text of [
        upgradeRequest(),
        'GET / HTTP/1.1\r\n',
        'x'.repeat(100_000),
        `GET /${'../'.repeat(1000)}etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n`,
      ]) {
        const peer = await TcpPeer.open(server.ports.app);
        peer.write(text);
        peer.socket.end();
        await peer.gone(15_000);
      }
    });
  });

  attack('2,000 connections at once, most of them gone without a word', async () => {
    const peers = [];
    for (let n = 0; n < 20; n += 1) {
      peers.push(
        ...(await Promise.all(
          Array.from({ length: 100 }, () => TcpPeer.upgraded(server.ports.ws)),
        )),
      );
    }
    for (const peer of peers) peer.write(frame(JSON.stringify(jsonRpc('ping'))));
    const answers = await Promise.all(peers.map((peer) => peer.text()));
    assert.equal(answers.filter((text) => JSON.parse(text).result === 'pong').length, 2000);
    for (const [n, peer] of peers.entries()) {
      if (n % 2) peer.socket.resetAndDestroy();
      else peer.destroy();
    }
    await until(
      async () => {
        const { body } = await request(`${server.opsUrl}/metrics`);
        return Number(/^mpr_sockets_open\S* (\d+)$/m.exec(body)[1]) === 1;
      },
      'the sockets are gone',
      15_000,
    );
  });

  attack('sessions opened and abandoned by the thousand', async () => {
    const other = await RpcSocket.open(server.url);
    // Each first session asks the database, and the one of the tests takes milliseconds.
    const sessions = backend === 'embedded' ? 3000 : 100;
    await Promise.all(
      Array.from({ length: sessions }, (_, n) =>
        other.call('addLiveSession', { connectionId: `c-abandoned-${n}`, sessionId: `s-${n}` }),
      ),
    );
    other.ws.terminate();
    await other.closed;
  });
});

checkWithServer(
  'over the connection limit a handshake is refused with 503, and those inside go on',
  { env: { ...quickStore, MPR_MAX_CONNECTIONS: '10' } },
  async (server) => {
    const inside = await Promise.all(Array.from({ length: 10 }, () => RpcSocket.open(server.url)));
    const outside = await TcpPeer.open(server.ports.ws);
    outside.write(upgradeRequest());
    assert.match(await outside.head(), /^HTTP\/1\.1 503 /);
    await outside.gone();
    assert.deepEqual(
      await Promise.all(inside.map((socket) => socket.call('ping'))),
      Array(10).fill('pong'),
    );
    await inside[0].close();
    const next = await until(
      () => RpcSocket.open(server.url).catch(() => undefined),
      'there is room again',
    );
    assert.equal(await next.call('ping'), 'pong');
    for (const socket of [...inside.slice(1), next]) await socket.close();
  },
);

checkWithServer(
  'a message over the configured size is refused by name, and its socket lives on',
  { env: { ...quickStore, MPR_MAX_MESSAGE_BYTES: '64KiB' } },
  async (server) => {
    const socket = await RpcSocket.open(server.url);
    const connectionId = newConnection();
    const failure = await socket.refusal('addMessage', {
      connectionId,
      recipientDids: [],
      payload: { c: 'x'.repeat(64 * 1024) },
    });
    assert.ok([-32602, 413].includes(failure.code), String(failure.code));
    assert.match(failure.data.details, /payload/);
    await add(socket, connectionId);
    assert.equal(await countOf(socket, connectionId), 1);
    await within(socket.close(), 5000, 'the close');
  },
);
