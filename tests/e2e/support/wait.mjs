// Waiting for events and conditions, always with a deadline that says what was waited for.

export async function within(promise, milliseconds, what) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`nothing after ${milliseconds} ms: ${what}`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

// Asks `probe` again and again until it yields something truthy.
export async function until(probe, what, milliseconds = 5000) {
  const end = performance.now() + milliseconds;
  for (;;) {
    const outcome = await probe();
    if (outcome) return outcome;
    if (performance.now() > end) throw new Error(`not so after ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// A queue whose reader waits: what arrives is kept until somebody asks for it.
export class Inbox {
  constructor(what) {
    this.what = what;
    this.items = [];
    this.readers = [];
    this.failure = undefined;
  }

  push(item) {
    const reader = this.readers.shift();
    if (reader) reader.resolve(item);
    else this.items.push(item);
  }

  fail(error) {
    this.failure = error;
    for (const reader of this.readers.splice(0)) reader.reject(error);
  }

  next(milliseconds = 5000) {
    if (this.items.length > 0) return Promise.resolve(this.items.shift());
    if (this.failure) return Promise.reject(this.failure);
    let reader;
    const arrival = new Promise((resolve, reject) => {
      reader = { resolve, reject };
      this.readers.push(reader);
    });
    return within(arrival, milliseconds, this.what).catch((error) => {
      this.readers = this.readers.filter((other) => other !== reader);
      throw error;
    });
  }
}
