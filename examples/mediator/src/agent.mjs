// A Credo 0.5 agent whose wallet and storage are in memory.

import * as credo from './credo.mjs';
import { MemoryStorage } from './memory_storage.mjs';
import { MemoryWallet } from './memory_wallet.mjs';

export function newAgent({ label, endpoints = [], modules, logger, keys, storage }) {
  const dependencyManager = new credo.DependencyManager();
  dependencyManager.registerInstance(credo.InjectionSymbols.Wallet, new MemoryWallet(keys));
  dependencyManager.registerInstance(credo.InjectionSymbols.StorageService, storage ?? new MemoryStorage(credo));
  return new credo.Agent(
    {
      config: {
        label,
        endpoints,
        walletConfig: { id: label, key: label },
        ...(logger ? { logger } : {}),
      },
      modules,
      dependencies: credo.agentDependencies,
    },
    dependencyManager,
  );
}
