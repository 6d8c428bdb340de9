// Somebody who writes to phones: an agent with an address of its own.

import {
  ConnectionsModule,
  HttpInboundTransport,
  HttpOutboundTransport,
  WsOutboundTransport,
} from './credo.mjs';
import { newAgent } from './agent.mjs';
import { freePort } from './ports.mjs';

export class Sender {
  static async start({ name, logger }) {
    const sender = new Sender();
    const port = await freePort();
    sender.agent = newAgent({
      label: name,
      endpoints: [`http://127.0.0.1:${port}`],
      logger,
      modules: { connections: new ConnectionsModule({ autoAcceptConnections: true }) },
    });
    sender.agent.registerInboundTransport(new HttpInboundTransport({ port }));
    sender.agent.registerOutboundTransport(new HttpOutboundTransport());
    sender.agent.registerOutboundTransport(new WsOutboundTransport());
    await sender.agent.initialize();
    return sender;
  }

  // Returns the connection id for write().
  async connectTo(phone) {
    const { url } = await phone.invite();
    const { connectionRecord } = await this.agent.oob.receiveInvitationFromUrl(url);
    const ready = await this.agent.connections.returnWhenIsConnected(connectionRecord.id, {
      timeoutMs: 20_000,
    });
    return ready.id;
  }

  async write(connectionId, text) {
    await this.agent.basicMessages.sendMessage(connectionId, text);
  }

  async stop() {
    await this.agent.shutdown();
  }
}
