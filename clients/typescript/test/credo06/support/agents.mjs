// Agents of Credo 0.6 and 0.7: instances of one mediator, phones, senders.

import { EventEmitter as NodeEvents } from 'node:events';

import * as credo from '@credo-ts/core';
import {
  DidCommBasicMessageEventTypes,
  DidCommBasicMessageRole,
  DidCommEventTypes,
  DidCommMediatorPickupStrategy,
  DidCommMessageForwardingStrategy,
  DidCommModule,
  DidCommTransportEventTypes,
  DidCommTransportService,
  DidCommWsOutboundTransport,
} from '@credo-ts/didcomm';
import {
  CredoQueueTransportRepository,
  joinLiveSessions,
  MessagePickupRepositoryClient,
} from 'message-pickup-repository-client';
import WebSocket, { WebSocketServer } from 'ws';

import { MemoryStorage } from '../../../../../examples/mediator/src/memory_storage.mjs';
import { until } from '../../support/patience.mjs';
import { MemoryKeys } from './memory_keys.mjs';

const { Agent, EventEmitter, InjectionSymbols, Kms, StorageUpdateService, UpdateAssistant, utils } = credo;

export const generation = import.meta.resolve('@credo-ts/core').includes('07') ? '0.7' : '0.6';

export function newStorage() {
  return new MemoryStorage(credo);
}

class NoFiles {
  dataPath = '';
  cachePath = '';
  tempPath = '';
}

class MemoryModule {
  constructor(storage) {
    this.storage = storage;
  }
  register(dependencyManager) {
    dependencyManager.registerInstance(InjectionSymbols.StorageService, this.storage);
  }
  // New storage is of the present version: there is nothing to convert.
  async onInitializeContext(agentContext) {
    const updates = agentContext.dependencyManager.resolve(StorageUpdateService);
    await updates.setCurrentStorageVersion(agentContext, UpdateAssistant.frameworkStorageVersion);
  }
}

// The part of the inbound transport of @credo-ts/node that DIDComm needs.
class WsInbound {
  static async listen() {
    const inbound = new WsInbound();
    inbound.server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => inbound.server.once('listening', resolve));
    inbound.port = inbound.server.address().port;
    return inbound;
  }

  get endpoints() {
    return [`ws://127.0.0.1:${this.port}`];
  }

  async start(agentContext) {
    const transports = agentContext.dependencyManager.resolve(DidCommTransportService);
    const events = agentContext.dependencyManager.resolve(EventEmitter);
    this.server.on('connection', (socket) => {
      const session = {
        id: utils.uuid(),
        type: 'WebSocket',
        send: async (_context, message) => socket.send(JSON.stringify(message)),
        close: async () => socket.close(),
      };
      socket.on('message', (text) => {
        events.emit(agentContext, {
          type: DidCommEventTypes.DidCommMessageReceived,
          payload: { message: JSON.parse(text), session },
        });
      });
      socket.on('close', () => transports.removeSession(session));
    });
  }

  async stop() {
    this.dropSockets();
    await new Promise((resolve) => this.server.close(resolve));
  }

  dropSockets() {
    for (const socket of this.server.clients) socket.terminate();
  }
}

async function newAgent({ didcomm, keys = new MemoryKeys(), storage = newStorage() }) {
  const agent = new Agent({
    config: { allowInsecureHttpUrls: true },
    dependencies: { FileSystem: NoFiles, EventEmitterClass: NodeEvents, fetch, WebSocketClass: WebSocket },
    modules: {
      kms: new Kms.KeyManagementModule({ backends: [keys] }),
      memory: new MemoryModule(storage),
      didcomm: new DidCommModule({
        ...didcomm,
        transports: {
          ...didcomm.transports,
          outbound: [new DidCommWsOutboundTransport()],
        },
        connections: { autoAcceptConnections: true },
      }),
    },
  });
  return agent;
}

export async function newMediator({ urls, endpoints, shared }) {
  const inbound = await WsInbound.listen();
  const repository = new MessagePickupRepositoryClient({ url: urls });
  const agent = await newAgent({
    ...shared,
    didcomm: {
      endpoints: endpoints ?? inbound.endpoints,
      transports: { inbound: [inbound] },
      queueTransportRepository: new CredoQueueTransportRepository(repository),
      mediator: {
        autoAcceptMediationRequests: true,
        messageForwardingStrategy: DidCommMessageForwardingStrategy.QueueOnly,
      },
      mediationRecipient: false,
    },
  });
  joinLiveSessions(agent, agent.didcomm.messagePickup, repository);
  await repository.connect();
  await agent.initialize();
  return {
    agent,
    inbound,
    repository,
    port: inbound.port,
    invitation: async () => {
      const record = await agent.didcomm.oob.createInvitation({ multiUseInvitation: true });
      return record.outOfBandInvitation.toUrl({ domain: 'http://127.0.0.1' });
    },
    stop: async () => {
      inbound.dropSockets();
      await agent.shutdown();
      await repository.disconnect();
    },
  };
}

export async function newPhone(invitation, strategy = DidCommMediatorPickupStrategy.PickUpV2LiveMode) {
  const agent = await newAgent({
    didcomm: {
      mediator: false,
      mediationRecipient: {
        mediatorPickupStrategy: strategy,
        mediatorPollingInterval: 1000,
      },
    },
  });
  const received = [];
  agent.events.on(DidCommBasicMessageEventTypes.DidCommBasicMessageStateChanged, ({ payload }) => {
    const { role, content } = payload.basicMessageRecord;
    if (role === DidCommBasicMessageRole.Receiver) received.push(content);
  });
  await agent.initialize();
  const opened = openSockets(agent);
  const { connectionRecord } = await agent.didcomm.oob.receiveInvitationFromUrl(invitation, {
    label: 'phone',
  });
  const mediator = await agent.didcomm.connections.returnWhenIsConnected(connectionRecord.id);
  // Credo closes the socket of the handshake's last message; what were sent into it would get no answer.
  await until(() => opened.size === 0, 'the end of the socket of the handshake');
  const mediation = await agent.didcomm.mediationRecipient.requestAndAwaitGrant(mediator);
  await agent.didcomm.mediationRecipient.setDefaultMediator(mediation);
  await agent.didcomm.mediationRecipient.initiateMessagePickup(mediation, strategy);
  return {
    agent,
    received,
    invitation: async () => {
      const record = await agent.didcomm.oob.createInvitation();
      return record.outOfBandInvitation.toUrl({ domain: 'http://127.0.0.1' });
    },
    stop: async () => {
      await agent.didcomm.mediationRecipient.stopMessagePickup();
      await agent.shutdown();
    },
  };
}

function openSockets(agent) {
  const opened = new Set();
  agent.events.on(DidCommTransportEventTypes.DidCommOutboundWebSocketOpenedEvent, ({ payload }) => {
    opened.add(payload.socketId);
  });
  agent.events.on(DidCommTransportEventTypes.DidCommOutboundWebSocketClosedEvent, ({ payload }) => {
    opened.delete(payload.socketId);
  });
  return opened;
}

export async function newSender() {
  const inbound = await WsInbound.listen();
  const agent = await newAgent({
    didcomm: {
      endpoints: inbound.endpoints,
      transports: { inbound: [inbound] },
      mediator: false,
      mediationRecipient: false,
    },
  });
  await agent.initialize();
  return {
    connectTo: async (phone) => {
      const { connectionRecord } = await agent.didcomm.oob.receiveInvitationFromUrl(
        await phone.invitation(),
        { label: 'sender' },
      );
      const ready = await agent.didcomm.connections.returnWhenIsConnected(connectionRecord.id, {
        timeoutMs: 20_000,
      });
      return async (text) => agent.didcomm.basicMessages.sendMessage(ready.id, text);
    },
    stop: async () => {
      inbound.dropSockets();
      await agent.shutdown();
    },
  };
}
