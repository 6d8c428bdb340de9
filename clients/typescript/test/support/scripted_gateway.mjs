// A gateway whose every word is in the hands of the test. Unless told otherwise it answers like a
// healthy one; it can stay silent, answer late or wrongly, drop its sockets or let them hang.

import { WebSocketServer } from 'ws';

import { until } from '../../../../tests/e2e/support/wait.mjs';

const healthy = {
  'rpc.on': (params) => Object.fromEntries(params.map((name) => [name, 'ok'])),
  ping: () => 'pong',
  addMessage: ({ messageId }) => ({ messageId, receivedAt: '2026-01-31T12:00:00.000Z' }),
  takeFromQueue: () => [],
  getAvailableMessageCount: () => 0,
  removeMessages: () => true,
  removeAllMessages: () => true,
  addLiveSession: () => true,
  removeLiveSession: () => true,
  getLiveSession: () => null,
};

export const silence = Symbol('no answer');
export const failure = (code, message, details) => ({ failure: { code, message, data: { details } } });

export class ScriptedGateway {
  static running = new Set();

  static async stopAll() {
    await Promise.all([...ScriptedGateway.running].map((gateway) => gateway.stop()));
  }

  static async start(options = {}) {
    const gateway = new ScriptedGateway(options);
    await gateway.listen(options.port ?? 0);
    return gateway;
  }

  constructor({ methods = {}, verifyClient } = {}) {
    this.methods = { ...healthy, ...methods };
    this.verifyClient = verifyClient;
    this.calls = [];
    this.requests = [];
    this.connections = 0;
    this.port = 0;
  }

  async listen(port) {
    this.wss = new WebSocketServer({ port, host: '127.0.0.1', verifyClient: this.verifyClient });
    await new Promise((resolve, reject) => {
      this.wss.once('listening', resolve);
      this.wss.once('error', reject);
    });
    ScriptedGateway.running.add(this);
    this.port = this.wss.address().port;
    this.wss.on('connection', (socket, request) => {
      this.connections += 1;
      this.requests.push(request);
      socket.number = this.connections;
      socket.on('error', () => {});
      socket.on('message', (text) => this.heard(socket, JSON.parse(text)));
    });
  }

  get url() {
    return `ws://127.0.0.1:${this.port}`;
  }

  get sockets() {
    return [...this.wss.clients];
  }

  async heard(socket, { method, params, id }) {
    this.calls.push({ method, params, id, connection: socket.number });
    const outcome = await this.methods[method]?.(params, { socket, id });
    if (outcome === silence) return;
    if (outcome?.failure) this.say(socket, { jsonrpc: '2.0', error: outcome.failure, id });
    else this.say(socket, { jsonrpc: '2.0', result: outcome, id });
  }

  say(socket, frame) {
    if (socket.readyState === 1) socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  event(method, params) {
    for (const socket of this.sockets) this.say(socket, { jsonrpc: '2.0', method, params });
  }

  messages(connectionId, ids) {
    this.event('messagesReceived', {
      connectionId,
      messages: ids.map((id) => ({
        id,
        receivedAt: '2026-01-31T12:00:00.000Z',
        encryptedMessage: { protected: 'p', iv: 'i', ciphertext: id, tag: 't' },
      })),
      id: '',
    });
  }

  callsOf(method) {
    return this.calls.filter((call) => call.method === method);
  }

  async heardCall(method, count = 1) {
    await until(() => this.callsOf(method).length >= count, `${count} calls of ${method}`, 15_000);
    return this.callsOf(method)[count - 1];
  }

  // The sockets end without a close frame, as with kill -9.
  drop() {
    for (const socket of this.sockets) socket.terminate();
  }

  close(code, reason) {
    for (const socket of this.sockets) socket.close(code, reason);
  }

  // The peer is there for TCP and hears nothing any more, as with a frozen host.
  freeze() {
    for (const socket of this.sockets) socket._socket.pause();
  }

  async stop() {
    if (!ScriptedGateway.running.delete(this)) return;
    this.drop();
    await new Promise((resolve) => this.wss.close(resolve));
  }

  async restart() {
    await this.listen(this.port);
  }
}
