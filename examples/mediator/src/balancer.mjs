// A balancer for TCP: every new connection goes to the next instance, those that refuse are skipped.
// HTTP and WebSocket pass through it unseen.

import { connect, createServer } from 'node:net';

export class Balancer {
  static async start(port = 0) {
    const balancer = new Balancer();
    await new Promise((resolve, reject) => {
      balancer.server.once('error', reject);
      balancer.server.listen(port, '127.0.0.1', resolve);
    });
    balancer.port = balancer.server.address().port;
    return balancer;
  }

  constructor() {
    this.targets = [];
    this.next = 0;
    this.sockets = new Set();
    this.server = createServer({ noDelay: true }, (socket) => this.serve(socket));
  }

  // The ports of the instances, in turn.
  useTargets(...ports) {
    this.targets = ports;
    this.next = 0;
  }

  serve(client) {
    const start = this.next;
    this.next += 1;
    this.keep(client);
    this.dial(client, start, this.targets.length);
  }

  dial(client, index, left) {
    const port = this.targets[index % this.targets.length];
    if (left === 0 || port === undefined || client.destroyed) {
      client.destroy();
      return;
    }
    const instance = connect({ port, host: '127.0.0.1', noDelay: true });
    this.keep(instance);
    let open = false;
    instance.once('connect', () => {
      open = true;
      client.pipe(instance);
      instance.pipe(client);
    });
    instance.once('close', () => {
      if (open) client.destroy();
      else this.dial(client, index + 1, left - 1);
    });
    client.once('close', () => instance.destroy());
  }

  keep(socket) {
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.sockets.delete(socket));
  }

  // All connections end.
  cut() {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
