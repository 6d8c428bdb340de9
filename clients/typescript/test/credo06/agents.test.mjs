// Real agents of Credo 0.6, or 0.7 (see support/on_credo07.mjs), over the adapter: two mediator instances, phones, a sender, a gateway.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { DidCommMediatorPickupStrategy } from '@credo-ts/didcomm';

import { Balancer } from '../../../../examples/mediator/src/balancer.mjs';
import { gatewayCount, Server } from '../support/gateways.mjs';
import { until } from '../support/patience.mjs';
import { generation, newMediator, newPhone, newSender, newStorage } from './support/agents.mjs';
import { MemoryKeys } from './support/memory_keys.mjs';

describe(`Two Credo ${generation} mediators`, { timeout: 300_000 }, () => {
  const stops = [];
  let server;
  let balancer;
  let a;
  let b;
  let sender;
  before(async () => {
    server = await Server.start();
    stops.push(() => server.stop());
    balancer = await Balancer.start();
    stops.push(() => balancer.stop());
    const shared = { keys: new MemoryKeys(), storage: newStorage() };
    const endpoints = [`ws://127.0.0.1:${balancer.port}`];
    a = await newMediator({ urls: server.urls, endpoints, shared });
    stops.push(() => a.stop());
    b = await newMediator({ urls: [...server.urls].reverse(), endpoints, shared });
    stops.push(() => b.stop());
    sender = await newSender();
    stops.push(() => sender.stop());
  });
  after(async () => {
    for (const stop of stops.reverse()) {
      await stop().catch((error) => console.error(`could not stop: ${error.message}`));
    }
  });

  // A phone at `at`, to which `write` sends through `through`.
  async function phoneAt(at, through, strategy) {
    balancer.useTargets(at.port);
    const phone = await newPhone(await at.invitation(), strategy);
    stops.push(() => phone.stop());
    const send = await sender.connectTo(phone);
    balancer.useTargets(through.port);
    const texts = [];
    const connections = await at.agent.didcomm.connections.getAll();
    const acknowledged = async () => {
      const queues = await Promise.all(
        connections.map(({ id }) => a.repository.getQueueStatus({ connectionId: id })),
      );
      return queues.every(({ messageCount, inFlight }) => messageCount + inFlight === 0);
    };
    return {
      phone,
      texts,
      write: async (count) => {
        for (let n = 0; n < count; n += 1) {
          texts.push(`text ${texts.length + 1}`);
          await send(texts.at(-1));
        }
      },
      complete: async () => {
        await until(() => new Set(phone.received).size === texts.length, 'all messages');
        assert.deepEqual([...phone.received].sort(), [...texts].sort());
        // Until then a message may come once more, when the phone or the gateway goes and comes back.
        await until(acknowledged, 'all acknowledgements');
      },
    };
  }

  test('live, to the phone at the other mediator', async () => {
    const { write, complete } = await phoneAt(a, b);
    await write(15);
    await complete();
  });

  for (const strategy of ['PickUpV1', 'PickUpV2']) {
    test(`polling with ${strategy}`, async () => {
      const { phone, texts, write } = await phoneAt(a, b, DidCommMediatorPickupStrategy[strategy]);
      await write(12);
      await until(() => new Set(phone.received).size === texts.length, 'all messages');
    });
  }

  test('a phone that comes back to the other mediator goes on there', async () => {
    const { write, complete } = await phoneAt(a, b);
    await write(3);
    await complete();
    balancer.useTargets(b.port);
    a.inbound.dropSockets();
    await write(3);
    await complete();
    await write(3);
    await complete();
  });

  for (const how of ['stop', 'kill']) {
    test(`the gateway restarts (${how}), and the live session goes on`, async () => {
      const { write, complete } = await phoneAt(a, b);
      await write(3);
      await complete();
      await server[how]();
      const writing = write(3);
      await server.relaunch();
      await writing;
      await complete();
      await write(3);
      await complete();
    });
  }

  if (gatewayCount === 2) {
    test('gateways die in turn, and the other one takes over', async () => {
      const { write, complete } = await phoneAt(a, b);
      await write(3);
      await complete();
      for (const gateway of server.gateways) {
        await gateway.end('SIGKILL');
        await write(3);
        await complete();
        await gateway.launch(15_000);
      }
      await write(3);
      await complete();
    });
  }
});
