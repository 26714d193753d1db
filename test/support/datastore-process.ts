/**
 * A process of its own that uses a store: `node datastore-process.js ROLE PATH ...`. Answers are lines on
 * standard output. Started by test/contract/datastore-processes.test.ts.
 */
import { writeSync } from 'node:fs';
import { EmbeddedDatastore } from '../../src/datastore/embedded/driver.js';
import { DEFAULT_RETENTION, EmbeddedStore } from '../../src/datastore/embedded/store.js';
import { keyToPath } from '../../src/model/keys.js';
import { netset, netsetKey, statusOf } from './resources.js';

const [role = '', path = '', ...rest] = process.argv.slice(2);

/** Synchronous: what was said before a SIGKILL has been said. */
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};
/** CLOCK_MONOTONIC: comparable between processes of one machine. */
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** `count` compare-and-swap increments of one counter. */
async function increment(store: EmbeddedDatastore, count: number): Promise<void> {
  for (let done = 0; done < count; ) {
    const { value, revision } = await store.get(netsetKey('counter'));
    const { n = '0' } = value.metadata.labels ?? {};
    const next = netset('counter', [], { n: `${Number(n) + 1}` });
    try {
      await store.update(netsetKey('counter'), next, revision);
      done += 1;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ERR_DATASTORE_CONFLICT')) {
        throw error;
      }
    }
  }
  say('done');
}

/** Creates objects until killed, several at once, and says which were acknowledged. */
async function write(store: EmbeddedDatastore, prefix: string, from: number): Promise<void> {
  let next = from;
  const lane = async (): Promise<void> => {
    for (;;) {
      const name = `${prefix}-${next}`;
      next += 1;
      const { revision } = await store.create(netsetKey(name), netset(name, ['10.0.0.0/8']));
      say(`${name} ${revision}`);
    }
  };
  await Promise.all([lane(), lane(), lane()]);
}

/** Says when each change of `probe` was seen. */
async function observe(store: EmbeddedDatastore): Promise<void> {
  const { revision } = await store.snapshot();
  const { signal } = new AbortController();
  for await (const event of store.watch({ revision, signal })) {
    if (event.type === 'put') say(`seen ${event.item.revision} ${nowUs()}`);
    else if (event.type === 'progress' && event.revision === revision) say('ready');
  }
}

/** Says each revision from the given one on, to check that none is missing. */
async function follow(store: EmbeddedDatastore, revision: string): Promise<void> {
  const { signal } = new AbortController();
  say('ready');
  for await (const event of store.watch({ revision, signal })) {
    if (event.type === 'put') say(`${event.item.key.name} ${event.item.revision}`);
  }
}

/** Dies between its write and its commit, with the writers' lock in its hands. */
async function dieHoldingLock(): Promise<void> {
  const retention = DEFAULT_RETENTION;
  const store = await EmbeddedStore.open({ path, now: Date.now, retention, firstRevision: 1n });
  await store.commit((transaction) => {
    transaction.put(keyToPath(netsetKey('half')), Buffer.from(JSON.stringify(netset('half'))));
    process.kill(process.pid, 'SIGKILL');
    for (;;); // The signal is on its way; the lock must not be given back before.
  });
}

const store = await EmbeddedDatastore.open({ path });
const [first = '', second = '0'] = rest;
if (role === 'increment') await increment(store, Number(first));
else if (role === 'write') await write(store, first, Number(second));
else if (role === 'observe') await observe(store);
else if (role === 'follow') await follow(store, first);
else if (role === 'die-holding-lock') await dieHoldingLock();
else if (role === 'status') await store.putHostStatus(statusOf(first), Number(second));
else throw new Error(`no role ${role}`);
await store[Symbol.asyncDispose]();
