// A gateway or two, two mediator instances behind a balancer, phones and a sender: all real, in one
// process but for the gateways. Whatever was started is stopped at the end, also when a test failed.

import assert from 'node:assert/strict';

import {
  archived,
  external,
  gatewayCount,
  Server,
} from '../../../../clients/typescript/test/support/gateways.mjs';
import { until } from '../../../../clients/typescript/test/support/patience.mjs';
import { Balancer } from '../../src/balancer.mjs';
import * as credo from '../../src/credo.mjs';
import { Mediator } from '../../src/mediator.mjs';
import { MemoryStorage } from '../../src/memory_storage.mjs';
import { Phone } from '../../src/phone.mjs';
import { Sender } from '../../src/sender.mjs';

export { gatewayCount, Server, until };

export class World {
  stops = [];

  // `urls`: the addresses that the mediators know, when they are not those of a gateway of our own.
  // The first instance prefers the first address, the second the last one.
  static async start({ urls, forwarding } = {}) {
    const world = new World();
    try {
      await world.run(urls ?? (external.length > 0 ? external : undefined), forwarding);
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  async run(urls, forwarding) {
    if (!urls) {
      this.server = await Server.start();
      this.stops.push(() => this.server.stop());
    }
    const addresses = urls ?? this.server.urls;
    const ordered = { a: addresses, b: [...addresses].reverse() };
    this.balancer = await Balancer.start();
    this.stops.push(() => this.balancer.stop());
    const shared = { keys: new Map(), storage: new MemoryStorage(credo) };
    const { port } = this.balancer;
    for (const [name, repositoryUrls] of Object.entries(ordered)) {
      this[name] = await Mediator.start({
        name,
        repositoryUrls,
        endpoints: [`http://127.0.0.1:${port}`, `ws://127.0.0.1:${port}`],
        shared,
        forwarding,
      });
      this.stops.push(() => this[name].stop());
    }
    this.balancer.useTargets(this.a.port, this.b.port);
    this.sender = await Sender.start({ name: 'sender' });
    this.stops.push(() => this.sender.stop());
  }

  // New connections go to this instance.
  route(...mediators) {
    this.balancer.useTargets(...mediators.map(({ port }) => port));
  }

  // A phone whose socket is at `at`, and the way to write to it, through `through`.
  async newPhone({ at = this.a, through = this.b, strategy } = {}) {
    this.route(at);
    const phone = await Phone.start({
      name: 'phone',
      invitation: await at.newInvitation(),
      ...(strategy ? { strategy } : {}),
    });
    this.stops.push(() => phone.stop());
    const connectionId = await this.sender.connectTo(phone);
    this.route(through);
    let sent = 0;
    const texts = [];
    const sorted = (all) => [...all].sort();
    const assertNothingLost = () => assert.deepEqual(sorted(new Set(phone.received)), sorted(texts));
    return Object.assign(phone, {
      texts,
      write: async (count = 1) => {
        for (let n = 0; n < count; n += 1) {
          const text = `text ${(sent += 1)}`;
          texts.push(text);
          await this.sender.write(connectionId, text);
        }
      },
      // Everything that was written has come.
      complete: async (milliseconds = 30_000) => {
        const missing = () => texts.filter((text) => !phone.received.includes(text));
        try {
          await until(() => missing().length === 0, 'all messages', milliseconds);
        } catch (error) {
          const query = { connectionId: await this.repositoryId(phone) };
          const status = await this.a.repository.getQueueStatus(query);
          throw new Error(`missing: ${missing()}; queue: ${JSON.stringify(status)}`, { cause: error });
        }
      },
      assertNothingLost,
      // Nothing is lost, and no more came twice than `mayRepeat`. Credo works on several messages at a
      // time, so their order is not for these tests. A phone also asks by HTTP, perhaps at a mediator
      // whose gateway is not that of its session and does not know what is in flight to that: there
      // any message may come again.
      assertEachOnce: (mayRepeat = 0) => {
        assertNothingLost();
        const twice = phone.received.length - texts.length;
        if (twice > 0) console.log(`${twice} of ${texts.length} messages came twice`);
        assert.ok(gatewayCount === 2 || twice <= mayRepeat, `${twice} messages came twice`);
      },
      // What the phone has not acknowledged is counted; the repository is empty in the end.
      drained: async () => {
        const query = { connectionId: await this.repositoryId(phone) };
        await until(async () => {
          const { messageCount, inFlight } = await this.a.repository.getQueueStatus(query);
          return messageCount + inFlight === 0;
        }, 'an empty queue');
      },
    });
  }

  // The phone's connection as the mediator calls it.
  async repositoryId(phone) {
    const own = await phone.agent.connections.getById(await phone.mediatorConnectionId());
    const all = await this.a.agent.connections.getAll();
    return all.find(({ theirDid }) => theirDid === own.did).id;
  }

  // How many messages have moved to the database; undefined where there is none.
  async archived() {
    return this.server && gatewayCount === 2 ? archived(this.server) : undefined;
  }

  liveAt(mediator) {
    return mediator.repository.sessions.size;
  }

  async stop() {
    for (const stop of this.stops.reverse()) {
      await stop().catch((error) => console.error(`could not stop: ${error.message}`));
    }
    this.stops = [];
  }
}
