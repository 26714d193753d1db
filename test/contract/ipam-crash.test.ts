/** spec/ipam.md 15, scenario 4: a process dies after each of its writes in turn, and the others go on. */
import { describe, expect, test } from '@jest/globals';
import { parseCidr } from '../../src/base/net/cidr.js';
import { formatIp } from '../../src/base/net/ip.js';
import type { Datastore } from '../../src/datastore/datastore.js';
import { DatastoreError } from '../../src/datastore/datastore-error.js';
import { MemoryDatastore } from '../../src/datastore/memory/driver.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { hostOwner } from '../../src/ipam/owner.js';
import { addNodes, addPool, CLEAN, inspect, ip } from '../support/ipam-world.js';

class Dead extends Error {}

/** Works for `writes` writes; from then on nothing does, as in a process that was killed. */
function dyingAfter(store: Datastore, writes: number): Datastore {
  let left = writes;
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]) => {
        const isWrite = name === 'create' || name === 'update' || name === 'delete';
        if (left === 0 && isWrite) left = -1;
        if (left < 0) throw new Dead();
        if (isWrite) left -= 1;
        return await member.apply(target, args);
      };
    },
  });
}

/** One write reaches the store, and its answer gets lost. */
function losingAnswer(store: Datastore, lost: number): Datastore {
  let write = 0;
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]) => {
        const result: unknown = await member.apply(target, args);
        if (name !== 'create' && name !== 'update' && name !== 'delete') return result;
        write += 1;
        if (write !== lost) return result;
        throw new DatastoreError('ERR_DATASTORE_UNAVAILABLE', 'the answer was lost');
      };
    },
  });
}

const POOL = '10.0.0.0/29';

async function world(): Promise<MemoryDatastore> {
  const store = new MemoryDatastore();
  await addNodes(store, ['a', 'b']);
  await addPool(store, 'pool', POOL, { blockSize: 30 });
  return store;
}

const request = (host: string, count: number, handle: string) =>
  ({ owner: hostOwner(host), family: 4, count, handle }) as const;

interface Story {
  readonly name: string;
  readonly prepare?: (ipam: Ipam) => Promise<unknown>;
  readonly run: (ipam: Ipam) => Promise<unknown>;
}

const range = parseCidr(POOL);

const STORIES: readonly Story[] = [
  { name: 'claim and assign', run: (ipam) => ipam.assign(request('a', 2, 'mine')) },
  { name: 'assign over two blocks', run: (ipam) => ipam.assign(request('a', 6, 'mine')) },
  {
    name: 'assign an address',
    run: (ipam) => ipam.assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.2'), handle: 'mine' }),
  },
  {
    name: 'release by handle',
    prepare: (ipam) => ipam.assign(request('a', 6, 'mine')),
    run: (ipam) => ipam.releaseByHandle('mine'),
  },
  {
    name: 'release the addresses of a block of nobody',
    prepare: async (ipam) => {
      await ipam.assign(request('a', 2, 'mine'));
      if (range !== null) await ipam.releasePool(range);
    },
    run: (ipam) => ipam.releaseByHandle('mine'),
  },
  {
    name: 'give up blocks in use',
    prepare: (ipam) => ipam.assign(request('a', 6, 'mine')),
    run: (ipam) => ipam.releaseHost('a'),
  },
  {
    name: 'give up an empty block',
    prepare: async (ipam) => {
      await ipam.assign(request('a', 2, 'mine'));
      await ipam.releaseByHandle('mine');
    },
    run: (ipam) => ipam.releaseHost('a'),
  },
];

async function held(store: Datastore): Promise<readonly string[]> {
  const { blocks } = await new Ipam(store).store.listBlocks();
  return blocks.flatMap(({ value }) => value.allocations()).map((each) => formatIp(each.ip));
}

/** What the next requests of any host, and the end of the container, make of the left-overs. */
async function goOn(store: Datastore): Promise<void> {
  const ipam = new Ipam(store);
  const before = await held(store);
  const after: string[] = [];
  for (const host of ['b', 'a', 'b']) {
    const { addresses } = await ipam.assign(request(host, 1, 'next'));
    after.push(...addresses.map(formatIp));
  }
  const fresh = after.filter((each) => !before.includes(each));
  expect(fresh).toEqual(after);
  expect(new Set(after).size).toBe(Math.min(3, 8 - before.length));
  for (const handle of ['mine', 'next']) await ipam.releaseByHandle(handle).catch(() => undefined);
  expect(await held(store)).toEqual([]);
}

describe.each(STORIES)('$name', ({ prepare, run }) => {
  test('a process killed after any of its writes leaves nothing that is broken', async () => {
    let isFinished = false;
    let writes = 0;
    for (; !isFinished; writes += 1) {
      await using store = await world();
      await prepare?.(new Ipam(store));
      isFinished = await run(new Ipam(dyingAfter(store, writes))).then(
        () => true,
        (error: unknown) => {
          if (error instanceof Dead) return false;
          throw error;
        },
      );
      expect((await inspect(store)).broken).toEqual([]);
      await goOn(store);
      expect((await inspect(store)).broken).toEqual([]);
      await new Ipam(store).releaseHost('a');
      await new Ipam(store).releaseHost('b');
      expect(await inspect(store)).toEqual(CLEAN);
    }
    expect(writes).toBeGreaterThan(1);
  });

  test('a lost answer never costs an address', async () => {
    for (let lost = 1; lost <= 8; lost += 1) {
      await using store = await world();
      await prepare?.(new Ipam(store));
      await run(new Ipam(losingAnswer(store, lost))).catch(() => undefined);
      expect((await inspect(store)).broken).toEqual([]);
      await goOn(store);
      expect((await inspect(store)).broken).toEqual([]);
    }
  });
});

test('an assignment whose answer was lost, but which is in the block, succeeds', async () => {
  await using store = await world();
  const { addresses } = await new Ipam(losingAnswer(store, 5)).assign(request('a', 2, 'mine'));
  expect(await held(store)).toEqual(addresses.map(formatIp).sort());
  expect(await inspect(store)).toEqual(CLEAN);
});
