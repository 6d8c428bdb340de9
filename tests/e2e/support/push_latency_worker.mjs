// Measures addMessage on a thread of its own, so that a push server in the main thread does not
// count. Each message is for another phone. Posts the median in milliseconds.

import { parentPort, workerData } from 'node:worker_threads';

import { Phone } from './push_phone.mjs';
import { RpcSocket } from './rpc_socket.mjs';

const { url, rounds } = workerData;
const socket = await RpcSocket.open(url);
const times = [];
for (let n = 0; n < rounds; n += 1) {
  const phone = new Phone('fcm');
  const begun = performance.now();
  await phone.message(socket, n);
  times.push(performance.now() - begun);
}
await socket.close();
parentPort.postMessage(times.sort((a, b) => a - b)[Math.floor(rounds / 2)]);
