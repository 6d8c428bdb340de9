// Real Credo agents over gateways that stop and die: nothing is lost, and nothing comes twice but what
// had not been acknowledged yet.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { freePort } from '../src/ports.mjs';
import { Server, until, World } from './support/world.mjs';

describe('A gateway that restarts under two mediators', { timeout: 300_000 }, () => {
  let server;
  let world;
  before(async () => {
    server = await Server.start();
    world = await World.start({ urls: [server.url] });
  });
  after(async () => {
    await world?.stop();
    await server?.stop();
  });

  for (const how of ['stop', 'kill']) {
    test(`${how} between messages: each comes once to a phone that notices nothing`, async () => {
      const phone = await world.newPhone();
      for (let round = 0; round < 3; round += 1) {
        await phone.write(5);
        await phone.complete();
        await phone.drained();
        await server[how]();
        await server.relaunch();
      }
      await phone.write(5);
      await phone.complete();
      await phone.drained();
      phone.assertEachOnce();
    });

    test(`${how} in the middle of a stream: nothing is lost`, async () => {
      const phone = await world.newPhone();
      const writing = phone.write(60);
      await until(() => phone.received.length >= 10, 'the stream', 20_000);
      await server[how]();
      await server.relaunch();
      await writing;
      await phone.complete();
      await phone.drained();
      phone.assertNothingLost();
      const twice = phone.received.length - phone.texts.length;
      console.log(`${how}: ${twice} of ${phone.texts.length} messages came twice`);
      assert.ok(twice <= 10, `${twice} messages came twice`);
    });

    test(`messages that are sent while the gateway is away (${how}) come when it is back`, async () => {
      const phone = await world.newPhone();
      await phone.write(3);
      await phone.complete();
      await phone.drained();
      await server[how]();
      const writing = phone.write(5);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(phone.received.length, 3);
      await server.relaunch();
      await writing;
      await phone.complete();
      await phone.drained();
      phone.assertEachOnce();
    });
  }
});

describe('A gateway that dies, and a second one that takes over', { timeout: 300_000 }, () => {
  // The embedded store has one process at a time: the second gateway opens it when the first is dead.
  let first;
  let second;
  let world;
  before(async () => {
    first = await Server.start();
    const port = await freePort();
    world = await World.start({ urls: [first.url, `ws://127.0.0.1:${port}`] });
    world.startSecond = async () => {
      second = await Server.start({
        env: { MPR_DATA_DIR: first.dataDirectory, WS_PORT: String(port) },
      });
    };
  });
  after(async () => {
    await world?.stop();
    await first?.stop();
    await second?.stop();
  });

  test('in the middle of a stream: nothing is lost, and the live session goes on', async () => {
    const phone = await world.newPhone();
    const writing = phone.write(40);
    await until(() => phone.received.length >= 10, 'the stream', 20_000);
    await first.kill();
    await world.startSecond();
    await writing;
    await phone.complete();
    await phone.drained();
    phone.assertNothingLost();
    const after = phone.received.length;
    await phone.write(5);
    await phone.complete();
    assert.deepEqual(phone.received.slice(after).sort(), phone.texts.slice(-5).sort());
    console.log(`${after - 40} of 40 messages came twice`);
  });
});
