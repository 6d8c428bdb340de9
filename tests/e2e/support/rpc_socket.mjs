// A JSON-RPC client that shows the frames as they are: text, order and close codes.

import WebSocket from 'ws';

import { Inbox, within } from './wait.mjs';

export class RpcFailure extends Error {
  constructor(error) {
    super(`${error.code} ${error.message} ${JSON.stringify(error.data)}`);
    this.code = error.code;
    this.data = error.data;
  }
}

export class RpcSocket {
  static async open(url, { protocols = [], ...options } = {}) {
    const socket = new RpcSocket(
      // Each frame is worked off before the next: what tests record is in the order of the wire.
      new WebSocket(url, protocols, {
        perMessageDeflate: false,
        allowSynchronousEvents: false,
        ...options,
      }),
    );
    await within(socket.opened, 5000, `a WebSocket to ${url}`);
    return socket;
  }

  constructor(ws) {
    this.ws = ws;
    this.lastId = 0;
    this.pending = new Map();
    this.frames = []; // every text that came, in order
    this.answers = new Inbox('an answer');
    this.events = new Inbox('an event');
    this.opened = new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
    });
    this.opened.catch(() => {});
    ws.on('error', () => {});
    ws.on('message', (data, isBinary) => this.receive(data, isBinary));
    this.closed = new Promise((resolve) =>
      ws.once('close', (code, reason) => {
        const gone = new Error(`the socket was closed with ${code} ${reason}`);
        for (const { reject } of this.pending.values()) reject(gone);
        this.pending.clear();
        this.answers.fail(gone);
        this.events.fail(gone);
        resolve({ code, reason: reason.toString() });
      }),
    );
  }

  receive(data, isBinary) {
    const text = data.toString('utf8');
    this.frames.push(text);
    const json = JSON.parse(text);
    const waiting = this.pending.get(json.id);
    if (waiting) {
      this.pending.delete(json.id);
      if ('error' in json) waiting.reject(new RpcFailure(json.error));
      else waiting.resolve(json.result);
    } else if (typeof json.method === 'string') {
      this.events.push({ text, json, isBinary });
    } else {
      this.answers.push({ text, json, isBinary });
    }
  }

  send(frame, options = {}) {
    const raw = typeof frame === 'string' || Buffer.isBuffer(frame);
    this.ws.send(raw ? frame : JSON.stringify(frame), options);
  }

  // Sends the frame and yields the next answer that no call() waits for: {text, json, isBinary}.
  async ask(frame, options = {}) {
    this.send(frame, options);
    return this.answers.next();
  }

  call(method, params, milliseconds = 5000) {
    const id = `call-${++this.lastId}`;
    const answer = new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
    this.send({ jsonrpc: '2.0', method, params, id });
    return within(answer, milliseconds, `the answer to ${method}`);
  }

  // The error of a call that has to fail.
  async refusal(method, params) {
    try {
      const result = await this.call(method, params);
      throw new Error(`${method} ${JSON.stringify(params)} gave ${JSON.stringify(result)}`);
    } catch (error) {
      if (error instanceof RpcFailure) return error;
      throw error;
    }
  }

  // The next messagesReceived event's params.
  async received(milliseconds = 5000) {
    for (;;) {
      const { json } = await this.events.next(milliseconds);
      if (json.method === 'messagesReceived') return json.params;
    }
  }

  // The events about a connection that came and that nobody asked for yet.
  unread(connectionId) {
    return this.events.items.filter(({ json }) => json.params.connectionId === connectionId);
  }

  // Message ids from messagesReceived events, until there are `count`.
  async receivedIds(count, milliseconds = 10_000) {
    const ids = [];
    while (ids.length < count) {
      ids.push(...(await this.received(milliseconds)).messages.map((message) => message.id));
    }
    return ids;
  }

  async close(code = 1000) {
    this.ws.close(code);
    return within(this.closed, 5000, 'the close handshake');
  }
}
