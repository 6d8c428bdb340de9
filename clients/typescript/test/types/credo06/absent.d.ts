// Packages with native parts, or not on npm in this version, which need not be installed to check the
// types of ours.

declare module '@credo-ts/askar' {
  import type { DependencyManager, Module } from '@credo-ts/core';
  export class AskarModule implements Module {
    constructor(options: { askar: unknown; store: { id: string; key: string } });
    register(dependencyManager: DependencyManager): void;
  }
}

declare module '@credo-ts/node' {
  import type { AgentContext, AgentDependencies } from '@credo-ts/core';
  import type { DidCommInboundTransport } from '@credo-ts/didcomm';
  export const agentDependencies: AgentDependencies;
  class Inbound implements DidCommInboundTransport {
    constructor(options: { port: number });
    start(agentContext: AgentContext): Promise<void>;
    stop(): Promise<void>;
  }
  export class DidCommHttpInboundTransport extends Inbound {}
  export class DidCommWsInboundTransport extends Inbound {}
}

declare module '@openwallet-foundation/askar-nodejs' {
  export const askar: unknown;
}
