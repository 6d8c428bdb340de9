// Credo 0.5 is CommonJS whose names Node cannot see from here; this file makes them importable.

import core from '@credo-ts/core';
import forwarding from '@credo-ts/core/build/modules/routing/MessageForwardingStrategy.js';
import node from '@credo-ts/node';

export const {
  Agent,
  BasicMessageEventTypes,
  BasicMessageRole,
  Buffer,
  ConnectionsModule,
  ConsoleLogger,
  DependencyManager,
  HttpOutboundTransport,
  InjectionSymbols,
  JsonTransformer,
  Key,
  KeyType,
  LogLevel,
  MediationRecipientModule,
  MediatorModule,
  MediatorPickupStrategy,
  MessagePickupModule,
  RecordDuplicateError,
  RecordNotFoundError,
  TypedArrayEncoder,
  WalletError,
  WalletKeyExistsError,
  WalletNotFoundError,
  WsOutboundTransport,
} = core;
export const { agentDependencies, HttpInboundTransport, WsInboundTransport } = node;
// Credo 0.5 does not export this one from its front door.
export const { MessageForwardingStrategy } = forwarding;
