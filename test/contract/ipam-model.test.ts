/** spec/ipam.md 15, scenario 22: random operations against a map of who has what. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseCidr } from '../../src/base/net/cidr.js';
import { formatIp } from '../../src/base/net/ip.js';
import { MemoryDatastore } from '../../src/datastore/memory/driver.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { isIpamError } from '../../src/ipam/ipam-error.js';
import { hostOwner } from '../../src/ipam/owner.js';
import {
  addNodes,
  addPool,
  CLEAN,
  configure,
  inspect,
  ip,
  put,
  resource,
} from '../support/ipam-world.js';

const HOSTS = ['a', 'b', 'c'];
/** 32 addresses in 8 blocks, 3 of them reserved. */
const POOL = '10.0.0.0/27';
const RESERVED = new Set(['10.0.0.5', '10.0.0.8', '10.0.0.9']);
const ALL = Array.from({ length: 32 }, (_, i) => `10.0.0.${i}`);

type Operation =
  | {
      readonly type: 'assign';
      readonly host: string;
      readonly count: number;
      readonly handle: string;
    }
  | {
      readonly type: 'assignIp';
      readonly host: string;
      readonly ip: string;
      readonly handle: string;
    }
  | { readonly type: 'release'; readonly ips: readonly string[] }
  | { readonly type: 'releaseByHandle'; readonly handle: string }
  | { readonly type: 'releaseHost'; readonly host: string }
  | { readonly type: 'releasePool' };

const host = fc.constantFrom(...HOSTS);
const handle = fc.constantFrom('h1', 'h2', 'h3', 'h4');
const address = fc.constantFrom(...ALL);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('assign' as const),
      host,
      handle,
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('assignIp' as const), host, handle, ip: address }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('release' as const),
      ips: fc.array(address, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('releaseByHandle' as const), handle }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('releaseHost' as const), host }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('releasePool' as const) }) },
);

/** Who has what; checks each answer against what it must be. */
class Model {
  readonly held = new Map<string, string>();
  readonly #ipam: Ipam;

  constructor(ipam: Ipam) {
    this.#ipam = ipam;
  }

  async run(operation: Operation): Promise<void> {
    switch (operation.type) {
      case 'assign':
        return await this.#assign(operation);
      case 'assignIp':
        return await this.#assignIp(operation);
      case 'release':
        return await this.#release(operation.ips);
      case 'releaseByHandle':
        return await this.#releaseByHandle(operation.handle);
      case 'releaseHost':
        return await this.#ipam.releaseHost(operation.host);
      case 'releasePool': {
        const range = parseCidr(POOL);
        if (range !== null) await this.#ipam.releasePool(range);
        return;
      }
      default:
        operation satisfies never;
    }
  }

  async #assign({ host, count, handle }: Extract<Operation, { type: 'assign' }>): Promise<void> {
    const free = ALL.filter((text) => !this.held.has(text) && !RESERVED.has(text));
    const owner = hostOwner(host);
    const { addresses, shortfall } = await this.#ipam.assign({ owner, family: 4, count, handle });
    const given = addresses.map(formatIp);
    expect(given).toHaveLength(Math.min(count, free.length));
    expect(shortfall === undefined).toBe(given.length === count);
    for (const text of given) {
      expect(free).toContain(text);
      expect(this.held.has(text)).toBe(false);
      this.held.set(text, handle);
    }
  }

  async #assignIp(operation: Extract<Operation, { type: 'assignIp' }>): Promise<void> {
    const { host, handle } = operation;
    const asking = this.#ipam.assignIp({ owner: hostOwner(host), ip: ip(operation.ip), handle });
    if (this.held.has(operation.ip)) {
      await expect(asking).rejects.toMatchObject({ code: 'ERR_IPAM_ASSIGNED' });
      return;
    }
    await asking;
    this.held.set(operation.ip, handle);
  }

  async #release(ips: readonly string[]): Promise<void> {
    const { released, notAssigned } = await this.#ipam.release(
      ips.map((text) => ({ ip: ip(text) })),
    );
    const wanted = [...new Set(ips)].filter((text) => this.held.delete(text));
    expect(released.map(formatIp).sort()).toEqual(wanted.sort());
    const others = new Set(ips.filter((text) => !wanted.includes(text)));
    expect(new Set(notAssigned.map(formatIp))).toEqual(others);
  }

  async #releaseByHandle(handle: string): Promise<void> {
    const wanted = [...this.held].filter(([, holder]) => holder === handle).map(([text]) => text);
    for (const text of wanted) this.held.delete(text);
    try {
      const released = await this.#ipam.releaseByHandle(handle);
      expect(released.map(formatIp).sort()).toEqual(wanted.sort());
    } catch (error) {
      if (!isIpamError(error, 'ERR_IPAM_NOT_ASSIGNED')) throw error;
      expect(wanted).toEqual([]);
    }
  }
}

async function world(): Promise<MemoryDatastore> {
  const store = new MemoryDatastore();
  await addNodes(store, HOSTS);
  await addPool(store, 'pool', POOL, { blockSize: 30 });
  await put(store, resource('IPReservation', 'r', { reservedCIDRs: ['10.0.0.5', '10.0.0.8/31'] }));
  await configure(store, {});
  return store;
}

async function holders(store: MemoryDatastore): Promise<ReadonlyMap<string, string | undefined>> {
  const { blocks } = await new Ipam(store).store.listBlocks();
  const held = blocks.flatMap(({ value }) => value.allocations());
  return new Map(held.map(({ ip, handle }) => [formatIp(ip), handle]));
}

describe('random operations', () => {
  test('the model and the store agree after each of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 10, maxLength: 60 }),
        async (operations) => {
          await using store = await world();
          const model = new Model(new Ipam(store));
          for (const each of operations) {
            await model.run(each);
            expect(await holders(store)).toEqual(model.held);
            expect(await inspect(store)).toEqual(CLEAN);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('at once, in several processes: no address twice, none lost, nothing left over', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ host, count: fc.integer({ min: 1, max: 3 }), keep: fc.boolean() }), {
          minLength: 10,
          maxLength: 40,
        }),
        async (requests) => {
          await using store = await world();
          const processes = [new Ipam(store), new Ipam(store), new Ipam(store)];
          const kept = await Promise.all(
            requests.map(async ({ host, count, keep }, i) => {
              const process = processes[i % 3] ?? new Ipam(store);
              const request = {
                owner: hostOwner(host),
                family: 4,
                count,
                handle: `c${i}`,
              } as const;
              const { addresses } = await process.assign(request);
              if (keep) return addresses.map((each) => [formatIp(each), `c${i}`] as const);
              if (addresses.length > 0) await process.releaseByHandle(`c${i}`);
              return [];
            }),
          );
          const held = await holders(store);
          expect(kept.flat()).toHaveLength(held.size);
          expect(new Map(kept.flat())).toEqual(held);
          expect(await inspect(store)).toEqual(CLEAN);
        },
      ),
      { numRuns: 60 },
    );
  });
});
