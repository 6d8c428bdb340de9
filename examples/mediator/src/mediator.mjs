// One instance of the mediator. Any number of them make one mediator: they share wallet and records
// (here in memory, in production a database) and, through MPR, the messages of all phones.

import { createServer } from 'node:http';

import { joinLiveSessions, MessagePickupRepositoryClient } from 'message-pickup-repository-client';
import { WebSocketServer } from 'ws';

import {
  ConnectionsModule,
  HttpInboundTransport,
  HttpOutboundTransport,
  MediatorModule,
  MessageForwardingStrategy,
  MessagePickupModule,
  WsInboundTransport,
  WsOutboundTransport,
} from './credo.mjs';
import { newAgent } from './agent.mjs';
import { freePort } from './ports.mjs';

export class Mediator {
  // `shared`: what the instances of one mediator have in common, {keys, storage}.
  static async start({ name, repositoryUrls, endpoints, shared, logger, forwarding, client }) {
    const mediator = new Mediator();
    await mediator.run({ name, repositoryUrls, endpoints, shared, logger, forwarding, client });
    return mediator;
  }

  async run({ name, repositoryUrls, endpoints, shared, logger, forwarding, client = {} }) {
    this.name = name;
    this.port = await freePort();
    this.repository = new MessagePickupRepositoryClient({
      url: repositoryUrls,
      clientId: name,
      ...(logger ? { logger } : {}),
      ...client,
    });

    this.agent = newAgent({
      label: 'mediator',
      endpoints,
      logger,
      ...shared,
      modules: {
        connections: new ConnectionsModule({ autoAcceptConnections: true }),
        mediator: new MediatorModule({
          autoAcceptMediationRequests: true,
          messageForwardingStrategy: forwarding ?? MessageForwardingStrategy.QueueOnly,
        }),
        messagePickup: new MessagePickupModule({ messagePickupRepository: this.repository }),
      },
    });
    this.openPort();

    // Before the first phone can come: its messages, and the words about its sessions.
    joinLiveSessions(this.agent, this.agent.messagePickup, this.repository, {
      logger: this.agent.config.logger,
    });
    await this.repository.connect();
    await this.agent.initialize();
  }

  // HTTP and WebSocket on one port.
  openPort() {
    this.http = new HttpInboundTransport({ port: this.port });
    this.sockets = new WebSocketServer({ noServer: true });
    this.agent.registerInboundTransport(this.http);
    this.agent.registerInboundTransport(new WsInboundTransport({ server: this.sockets }));
    this.agent.registerOutboundTransport(new HttpOutboundTransport());
    this.agent.registerOutboundTransport(new WsOutboundTransport());
    const { app } = this.http;
    app.listen = (port, ...rest) => {
      const server = createServer(app);
      server.on('upgrade', (request, socket, head) => {
        this.sockets.handleUpgrade(request, socket, head, (webSocket) => {
          this.sockets.emit('connection', webSocket, request);
        });
      });
      return server.listen(port, '127.0.0.1', ...rest);
    };
  }

  async newInvitation() {
    const { outOfBandInvitation } = await this.agent.oob.createInvitation({ multiUseInvitation: true });
    return outOfBandInvitation.toUrl({ domain: 'http://127.0.0.1' });
  }

  // The phones' sockets end, as when the process is killed; they connect again, to any instance.
  dropPhones() {
    for (const socket of this.sockets.clients) socket.terminate();
  }

  async stop() {
    this.dropPhones();
    await this.agent.shutdown();
    await this.repository.disconnect();
  }
}
