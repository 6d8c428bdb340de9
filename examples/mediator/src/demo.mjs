// A phone and a sender: what the repository does for a mediator of two instances.

import { Phone } from './phone.mjs';
import { Sender } from './sender.mjs';

export async function demonstrate({ balancer, mediators }) {
  const [a, b] = mediators;
  balancer.useTargets(a.port);
  const phone = await Phone.start({ name: 'phone', invitation: await a.newInvitation() });
  const sender = await Sender.start({ name: 'sender' });
  const connection = await sender.connectTo(phone);
  let sent = 0;
  const write = async (count) => {
    for (let n = 0; n < count; n += 1) await sender.write(connection, `message ${(sent += 1)}`);
  };
  const received = async () => {
    await until(() => phone.received.length >= sent);
    console.log(`  the phone has ${phone.received.length} of ${sent} messages`);
  };
  try {
    console.log('The phone is online at instance a; three messages arrive at instance b:');
    balancer.useTargets(b.port);
    await write(3);
    await received();

    console.log('The phone is offline; three messages arrive:');
    await phone.sleep();
    await write(3);
    console.log(`  the phone has ${phone.received.length} of ${sent} messages`);

    console.log('The phone comes back, at instance b:');
    await phone.wake();
    await received();

    console.log('Three messages arrive at instance a:');
    balancer.useTargets(a.port);
    await write(3);
    await received();
  } finally {
    await phone.stop();
    await sender.stop();
  }
}

async function until(condition) {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('the messages did not come in 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
