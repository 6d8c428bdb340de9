// Real Credo agents over gateways that stop and die: nothing is lost, and nothing comes twice but what
// had not been acknowledged yet.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ownPort } from '../../../tests/e2e/support/ports.mjs';
import { gatewayCount, Server, until, World } from './support/world.mjs';

describe('Gateways that restart under two mediators', { timeout: 300_000 }, () => {
  let server;
  let world;
  before(async () => {
    server = await Server.start();
    world = await World.start({ urls: server.urls });
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
      await until(() => phone.received.length >= 10, 'the stream');
      await server[how]();
      await server.relaunch();
      await writing;
      await phone.complete();
      await phone.drained();
      phone.assertEachOnce(10);
    });

    test(`messages that are sent while the gateway is away (${how}) come when it is back`, async () => {
      const phone = await world.newPhone();
      await phone.write(3);
      await phone.complete();
      await phone.drained();
      await server[how]();
      const writing = phone.write(5);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(new Set(phone.received).size, 3);
      await server.relaunch();
      await writing;
      await phone.complete();
      await phone.drained();
      phone.assertEachOnce();
    });
  }
});

describe('A gateway that dies, and a second one that takes over', { timeout: 300_000 }, () => {
  const servers = [];
  let world;
  after(async () => {
    await world?.stop();
    for (const server of servers) await server.stop();
  });

  // The embedded store has one process at a time: the second gateway opens it when the first is dead.
  async function onOneStore() {
    const first = await Server.start();
    servers.push(first);
    const port = await ownPort();
    const die = async () => {
      await first.kill();
      const env = { MPR_DATA_DIR: first.dataDirectory, WS_PORT: String(port) };
      servers.push(await Server.start({ env }));
    };
    const revive = async () => {};
    return { urls: [first.url, `ws://127.0.0.1:${port}`], deaths: [{ die, revive }] };
  }
  // On servers both gateways run, and die in turn.
  async function onServers() {
    const server = await Server.start();
    servers.push(server);
    const deaths = server.gateways.map((gateway) => ({
      die: async () => gateway.end('SIGKILL'),
      revive: async () => gateway.launch(15_000),
    }));
    return { urls: server.urls, deaths };
  }

  test('in the middle of a stream: nothing is lost, and the live session goes on', async () => {
    const { urls, deaths } = await (gatewayCount === 2 ? onServers() : onOneStore());
    world = await World.start({ urls });
    const phone = await world.newPhone();
    for (const { die, revive } of deaths) {
      const before = phone.received.length;
      const writing = phone.write(40);
      await until(() => phone.received.length >= before + 10, 'the stream');
      await die();
      await writing;
      await phone.complete();
      await phone.drained();
      await phone.write(5);
      await phone.complete();
      await phone.drained();
      phone.assertEachOnce(10);
      await revive();
    }
  });
});
