// Packages with native parts, which need not be installed to check the types of ours.

declare module '@credo-ts/askar' {
  import type { DependencyManager, Module } from '@credo-ts/core';
  export class AskarModule implements Module {
    constructor(options: { ariesAskar: unknown });
    register(dependencyManager: DependencyManager): void;
  }
}

declare module '@hyperledger/aries-askar-nodejs' {
  export const ariesAskar: unknown;
}
