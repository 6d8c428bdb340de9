// Starts two mediator instances behind a balancer, next to a message pickup repository that runs
// already. With --demo, a phone and a sender show what happens, and everything ends.

import { Balancer } from './balancer.mjs';
import * as credo from './credo.mjs';
import { demonstrate } from './demo.mjs';
import { Mediator } from './mediator.mjs';
import { MemoryStorage } from './memory_storage.mjs';

const repositoryUrls = (process.env.MPR_URL ?? 'ws://127.0.0.1:3100').split(',');
const port = Number(process.env.MEDIATOR_PORT ?? 3000);
const logger = new credo.ConsoleLogger(credo.LogLevel[process.env.LOG_LEVEL ?? 'warn']);
const demo = process.argv.includes('--demo');

const balancer = await Balancer.start(demo ? 0 : port);
const endpoints = [`http://127.0.0.1:${balancer.port}`, `ws://127.0.0.1:${balancer.port}`];
const shared = { keys: new Map(), storage: new MemoryStorage(credo) };
console.log(`Connecting to the message pickup repository at ${repositoryUrls.join(', ')}`);

const mediators = [];
for (const name of ['mediator-a', 'mediator-b']) {
  mediators.push(
    await Mediator.start({
      name,
      repositoryUrls,
      endpoints,
      shared,
      logger,
      client: { firstConnect: 'retry' },
    }),
  );
}
balancer.useTargets(...mediators.map((mediator) => mediator.port));
console.log(`Two instances answer at ${endpoints.join(' and ')}`);

async function stop() {
  for (const mediator of mediators) await mediator.stop();
  await balancer.stop();
}

if (demo) {
  try {
    await demonstrate({ balancer, mediators });
  } finally {
    await stop();
  }
} else {
  console.log(`Invitation for phones:\n${await mediators[0].newInvitation()}`);
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      void stop();
    });
  }
}
