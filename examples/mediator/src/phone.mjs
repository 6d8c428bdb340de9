// A phone: an agent behind the mediator, which it reaches over a WebSocket. It keeps the texts of the
// basic messages that it received, in the order in which they came.

import {
  BasicMessageEventTypes,
  BasicMessageRole,
  ConnectionsModule,
  HttpOutboundTransport,
  MediationRecipientModule,
  MediatorPickupStrategy,
  MessagePickupModule,
  WsOutboundTransport,
} from './credo.mjs';
import { newAgent } from './agent.mjs';

export class Phone {
  static async start({ name, invitation, strategy = MediatorPickupStrategy.PickUpV2LiveMode, logger }) {
    const phone = new Phone();
    await phone.run({ name, invitation, strategy, logger });
    return phone;
  }

  async run({ name, invitation, strategy, logger }) {
    this.received = [];
    this.strategy = strategy;
    this.agent = newAgent({
      label: name,
      logger,
      modules: {
        connections: new ConnectionsModule({ autoAcceptConnections: true }),
        mediationRecipient: new MediationRecipientModule({
          mediatorInvitationUrl: invitation,
          mediatorPickupStrategy: strategy,
          mediatorPollingInterval: 1000,
          maximumMessagePickup: 10,
        }),
        messagePickup: new MessagePickupModule(),
      },
    });
    this.agent.registerOutboundTransport(new HttpOutboundTransport());
    this.transport = new WsOutboundTransport();
    this.agent.registerOutboundTransport(this.transport);
    this.agent.events.on(BasicMessageEventTypes.BasicMessageStateChanged, ({ payload }) => {
      const { role, content } = payload.basicMessageRecord;
      if (role === BasicMessageRole.Receiver) this.received.push(content);
    });
    await this.agent.initialize();
  }

  async mediatorConnectionId() {
    return (await this.agent.mediationRecipient.findDefaultMediator()).connectionId;
  }

  async invite() {
    const { outOfBandInvitation, id } = await this.agent.oob.createInvitation();
    return { url: outOfBandInvitation.toUrl({ domain: 'http://127.0.0.1' }), outOfBandId: id };
  }

  // The app is closed: no polling, no reconnecting, no socket.
  async sleep() {
    await this.agent.mediationRecipient.stopMessagePickup();
    await this.transport.stop();
  }

  async wake() {
    await this.transport.start(this.agent);
    await this.agent.mediationRecipient.initiateMessagePickup(undefined, this.strategy);
  }

  async stop() {
    await this.agent.mediationRecipient.stopMessagePickup();
    await this.agent.shutdown();
  }
}
