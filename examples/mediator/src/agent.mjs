// A Credo 0.5 agent whose wallet and storage are in memory.

import { Agent, agentDependencies, DependencyManager, InjectionSymbols } from './credo.mjs';
import { MemoryStorage } from './memory_storage.mjs';
import { MemoryWallet } from './memory_wallet.mjs';

export function newAgent({ label, endpoints = [], modules, logger, keys, storage }) {
  const dependencyManager = new DependencyManager();
  dependencyManager.registerInstance(InjectionSymbols.Wallet, new MemoryWallet(keys));
  dependencyManager.registerInstance(InjectionSymbols.StorageService, storage ?? new MemoryStorage());
  return new Agent(
    {
      config: {
        label,
        endpoints,
        walletConfig: { id: label, key: label },
        ...(logger ? { logger } : {}),
      },
      modules,
      dependencies: agentDependencies,
    },
    dependencyManager,
  );
}
