// A peer that speaks TCP and builds its WebSocket frames by hand, right or wrong.

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

import { Inbox, until, within } from './wait.mjs';

// opcode: 1 text, 2 binary, 0 continuation, 8 close, 9 ping, 10 pong.
export function frame(
  payload,
  {
    opcode = 1,
    fin = true,
    rsv = 0,
    masked = true,
    lengthBytes = undefined,
    declaredLength = undefined,
  } = {},
) {
  const body = Buffer.from(payload);
  const length = BigInt(declaredLength ?? body.length);
  const width = lengthBytes ?? (length < 126n ? 0 : length < 65536n ? 2 : 8);
  const head = Buffer.alloc(2 + width);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (width === 0 ? Number(length) : width === 2 ? 126 : 127);
  if (width === 2) head.writeUInt16BE(Number(length), 2);
  if (width === 8) head.writeBigUInt64BE(length, 2);
  if (!masked) return Buffer.concat([head, body]);
  const mask = randomBytes(4);
  const hidden = Buffer.from(body);
  for (let i = 0; i < hidden.length; i += 1) hidden[i] ^= mask[i % 4];
  return Buffer.concat([head, mask, hidden]);
}

export function upgradeRequest(path = '/', { headers = {}, omit = [] } = {}) {
  const fields = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  for (const name of omit) delete fields[name];
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export class TcpPeer {
  static async open(port) {
    const peer = new TcpPeer(port);
    await within(
      new Promise((resolve, reject) => {
        peer.socket.once('connect', resolve);
        peer.socket.once('error', reject);
      }),
      5000,
      `a TCP connection to port ${port}`,
    );
    return peer;
  }

  // A TCP connection with the WebSocket handshake done.
  static async upgraded(port, path = '/') {
    const peer = await TcpPeer.open(port);
    peer.write(upgradeRequest(path));
    const head = await peer.head();
    if (!head.startsWith('HTTP/1.1 101')) throw new Error(`no upgrade: ${head}`);
    return peer;
  }

  constructor(port) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.buffer = Buffer.alloc(0);
    this.upgraded = false;
    this.ended = false;
    this.frames = new Inbox('a frame');
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk) => {
      this.buffer = Buffer.concat([this.buffer, chunk]);
      if (this.upgraded) this.cut();
    });
    this.closed = new Promise((resolve) =>
      this.socket.once('close', () => {
        this.ended = true;
        this.frames.fail(new Error('the connection is closed'));
        resolve();
      }),
    );
  }

  write(bytes) {
    if (!this.ended) this.socket.write(bytes);
  }

  // The head of the HTTP answer; what follows is read as frames after a 101.
  async head() {
    await until(() => this.buffer.includes('\r\n\r\n') || this.ended, 'an HTTP answer');
    const end = this.buffer.indexOf('\r\n\r\n');
    if (end < 0) return this.buffer.toString('latin1');
    const head = this.buffer.subarray(0, end).toString('latin1');
    if (head.startsWith('HTTP/1.1 101')) {
      this.buffer = this.buffer.subarray(end + 4);
      this.upgraded = true;
      this.cut();
    }
    return head;
  }

  cut() {
    for (;;) {
      if (this.buffer.length < 2) return;
      let length = this.buffer[1] & 0x7f;
      let start = 2;
      if (length === 126) {
        if (this.buffer.length < 4) return;
        length = this.buffer.readUInt16BE(2);
        start = 4;
      } else if (length === 127) {
        if (this.buffer.length < 10) return;
        length = Number(this.buffer.readBigUInt64BE(2));
        start = 10;
      }
      if (this.buffer.length < start + length) return;
      const payload = this.buffer.subarray(start, start + length);
      this.frames.push({
        opcode: this.buffer[0] & 0x0f,
        fin: (this.buffer[0] & 0x80) !== 0,
        masked: (this.buffer[1] & 0x80) !== 0,
        payload,
      });
      this.buffer = this.buffer.subarray(start + length);
    }
  }

  // The next frame that is no ping.
  async next(milliseconds = 5000) {
    for (;;) {
      const received = await this.frames.next(milliseconds);
      if (received.opcode !== 9) return received;
    }
  }

  async text() {
    return (await this.next()).payload.toString('utf8');
  }

  // The code of the close frame that comes next, whatever was answered before it.
  async closeCode() {
    for (;;) {
      const received = await this.next();
      if (received.opcode === 8) {
        return received.payload.length >= 2 ? received.payload.readUInt16BE(0) : undefined;
      }
    }
  }

  async gone(milliseconds = 5000) {
    return within(this.closed, milliseconds, 'the server closes the connection');
  }

  destroy() {
    this.socket.destroy();
  }
}
