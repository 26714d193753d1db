/** The scenarios of spec/ipam.md 15, by their numbers. Run on every datastore that keeps IPAM's objects. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parseCidr } from '../../src/base/net/cidr.js';
import { formatIp } from '../../src/base/net/ip.js';
import type { Datastore } from '../../src/datastore/datastore.js';
import type { AssignRequest } from '../../src/ipam/allocator.js';
import { Ipam } from '../../src/ipam/ipam.js';
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

import type { Resource } from '../../src/model/update.js';

export interface IpamHarness {
  open(): Promise<Datastore>;
  cleanUp?(): Promise<void>;
  /** How much of the large scenario this store is given. */
  readonly parallelHosts: number;
}

/** A range of addresses as text: '10.0.0.0' and so on. */
const cidr = (text: string) => {
  const parsed = parseCidr(text);
  if (parsed === null) throw new Error(`${text} is no CIDR`);
  return parsed;
};

export function runIpamSuite(name: string, harness: IpamHarness): void {
  describe(`ipam on ${name}`, () => {
    let store: Datastore;
    let nowMs = 0;
    const world: World = {
      store: () => store,
      ipam: () => new Ipam(store, { now: () => nowMs }),
      advance: (ms) => {
        nowMs += ms;
      },
    };

    beforeEach(async () => {
      nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
      store = await harness.open();
    });

    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await harness.cleanUp?.();
    });

    describe('assignment', () => assignment(world, harness.parallelHosts));
    describe('release', () => release(world));
    describe('ownership', () => ownership(world));
    describe('data of others', () => foreignData(world));
  });
}

interface World {
  readonly store: () => Datastore;
  /** Another process. */
  readonly ipam: () => Ipam;
  readonly advance: (ms: number) => void;
}

const request = (host: string, more: Partial<AssignRequest> = {}): AssignRequest => ({
  owner: hostOwner(host),
  family: 4,
  count: 1,
  ...more,
});

async function assign(ipam: Ipam, host: string, more: Partial<AssignRequest> = {}) {
  const { addresses } = await ipam.assign(request(host, more));
  return addresses.map(formatIp);
}

function assignment({ store, ipam, advance }: World, parallelHosts: number): void {
  test('1: many hosts with many parallel requests get distinct addresses', async () => {
    const hosts = Array.from({ length: parallelHosts }, (_, i) => `host-${i}`);
    await addNodes(store(), hosts);
    await addPool(store(), 'pool', '10.0.0.0/16');
    const each = await Promise.all(
      hosts.flatMap((host) => {
        const process = ipam();
        return Array.from({ length: 200 }, (_, i) =>
          assign(process, host, { handle: `${host}.${i}`, attributes: { node: host } }),
        );
      }),
    );
    expect(new Set(each.flat()).size).toBe(parallelHosts * 200);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('2: an exhausted pool lends its last addresses, and then says so', async () => {
    const hosts = ['a', 'b', 'c', 'd', 'e', 'f'];
    await addNodes(store(), hosts);
    await addPool(store(), 'small', '10.0.0.0/28', { blockSize: 30 });
    const given: string[] = [];
    for (let i = 0; i < 16; i += 1) given.push(...(await assign(ipam(), hosts[i % 6] ?? 'a')));
    expect(new Set(given).size).toBe(16);
    const last = await ipam().assign(request('a'));
    expect(last).toEqual({ addresses: [], shortfall: 'no address is free in small' });
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('3: with strict affinity hosts without a block get none', async () => {
    const hosts = ['a', 'b', 'c', 'd', 'e', 'f'];
    await addNodes(store(), hosts);
    await addPool(store(), 'small', '10.0.0.0/28', { blockSize: 30 });
    await configure(store(), { strictAffinity: true });
    const counts: number[] = [];
    for (const host of hosts) counts.push((await assign(ipam(), host, { count: 2 })).length);
    expect(counts).toEqual([2, 2, 2, 2, 0, 0]);
    expect((await ipam().assign(request('e'))).shortfall).toContain('strict affinity forbids');
  });

  test('6: two processes of one host claim one block and share it', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/16');
    const both = await Promise.all([assign(ipam(), 'a'), assign(ipam(), 'a')]);
    expect(new Set(both.flat()).size).toBe(2);
    expect((await ipam().store.listBlocks()).blocks).toHaveLength(1);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('9: an address in another host’s block is refused only with strict affinity', async () => {
    await addNodes(store(), ['a', 'b']);
    await addPool(store(), 'pool', '10.0.0.0/24');
    await ipam().assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.1'), handle: 'h1' });
    await ipam().assignIp({ owner: hostOwner('b'), ip: ip('10.0.0.2'), handle: 'h2' });
    await expect(
      ipam().assignIp({ owner: hostOwner('b'), ip: ip('10.0.0.2'), handle: 'h3' }),
    ).rejects.toMatchObject({ code: 'ERR_IPAM_ASSIGNED' });
    await expect(
      ipam().assignIp({ owner: hostOwner('b'), ip: ip('10.9.0.2') }),
    ).rejects.toMatchObject({ code: 'ERR_IPAM_POOL' });
    await configure(store(), { strictAffinity: true });
    const strict = ipam().assignIp({ owner: hostOwner('b'), ip: ip('10.0.0.3') });
    await expect(strict).rejects.toMatchObject({ code: 'ERR_IPAM_AFFINITY' });
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('17: a pool of 2^58 blocks costs no more reads than a small one', async () => {
    await addNodes(store(), ['a', 'b']);
    await addPool(store(), 'wide', 'fd00::/64');
    let reads = 0;
    const counting = new Proxy(store(), {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          if (name === 'get' || name === 'list') reads += 1;
          return member.apply(target, args);
        };
      },
    });
    const [first] = await assign(new Ipam(counting), 'a', { family: 6 });
    expect(reads).toBeLessThan(50);
    expect(first).toMatch(/^fd00::/);
    const many = await assign(ipam(), 'b', { family: 6, count: 100 });
    expect(many).toHaveLength(100);
    await ipam().assign(request('a', { family: 6, count: 2000, maxBlocks: 2 }));
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('18: reserved addresses are passed over and keep their place', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/26');
    await put(
      store(),
      resource('IPReservation', 'r', { reservedCIDRs: ['10.0.0.0/30', '10.0.0.4/30', 'nonsense'] }),
    );
    expect(await assign(ipam(), 'a')).toEqual(['10.0.0.8']);
    const block = await ipam().store.getBlock(cidr('10.0.0.0/26'));
    expect(block?.value.freeOrdinals.slice(0, 9)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 9]);
    await ipam().assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.3') });
    const whole = await ipam().assign(request('a', { count: 64 }));
    expect(whole.addresses).toHaveLength(55);
  });

  test('reads the configuration: no automatic blocks, at most so many, no Node, no pool', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/24', { blockSize: 30 });
    await configure(store(), { strictAffinity: true, maxBlocksPerHost: 2 });
    const limited = await ipam().assign(request('a', { count: 12 }));
    expect(limited.addresses).toHaveLength(8);
    expect(limited.shortfall).toBe(
      'a owns as many blocks as it may; strict affinity forbids borrowing',
    );
    await expect(ipam().assign(request('nobody'))).rejects.toMatchObject({ code: 'ERR_IPAM_POOL' });
    await expect(ipam().assign(request('a', { family: 6 }))).rejects.toThrow(
      'no configured IPv6 pools for a: none is enabled',
    );
    await expect(ipam().assign(request('a', { pools: ['10.1.0.0/24'] }))).rejects.toThrow(
      'IPv4 pool 10.1.0.0/24 does not exist or is disabled',
    );
    const { value } = await store().get({ kind: 'IPAMConfiguration', name: 'default' });
    expect(value.spec).toMatchObject({ strictAffinity: true, maxBlocksPerHost: 2 });
  });

  test('an empty block of another host is taken after a minute', async () => {
    await addNodes(store(), ['a', 'b']);
    await addPool(store(), 'pool', '10.0.0.0/30', { blockSize: 30 });
    await configure(store(), { strictAffinity: true });
    await assign(ipam(), 'a', { handle: 'h' });
    await ipam().releaseByHandle('h');
    advance(59_000);
    expect(await assign(ipam(), 'b')).toEqual([]);
    advance(2000);
    expect(await assign(ipam(), 'b')).toHaveLength(1);
    expect(await inspect(store())).toEqual(CLEAN);
  });
}

function release({ store, ipam, advance }: World): void {
  test('5: a released address comes last', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/26');
    const [first = ''] = await assign(ipam(), 'a');
    await ipam().release([{ ip: ip(first) }]);
    const order: string[] = [];
    for (let i = 0; i < 64; i += 1) order.push(...(await assign(ipam(), 'a')));
    expect(order.at(-1)).toBe(first);
    expect(order.indexOf(first)).toBe(63);
  });

  test('7: a handle with addresses in three blocks, one borrowed, is released whole', async () => {
    await addNodes(store(), ['a', 'b']);
    await addPool(store(), 'pool', '10.0.0.0/28', { blockSize: 30 });
    await assign(ipam(), 'b', { count: 2, handle: 'other' });
    await assign(ipam(), 'b', { count: 4, handle: 'other' });
    const given = await assign(ipam(), 'a', { count: 10, handle: 'mine' });
    expect(given).toHaveLength(10);
    const handle = await ipam().store.getHandle('mine');
    expect(Object.keys(handle?.value ?? {}).length).toBeGreaterThanOrEqual(3);
    expect((await ipam().allocationsOf('mine')).map(({ ip }) => formatIp(ip)).sort()).toEqual(
      given.sort(),
    );
    expect((await ipam().releaseByHandle('mine')).map(formatIp).sort()).toEqual(given);
    expect(await ipam().store.getHandle('mine')).toBeNull();
    await expect(ipam().releaseByHandle('mine')).rejects.toMatchObject({
      code: 'ERR_IPAM_NOT_ASSIGNED',
    });
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('8: a handle that counts too many, as old data does, goes with its addresses', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/26');
    await assign(ipam(), 'a', { count: 2, handle: 'h' });
    const { store: typed } = ipam();
    const stored = await typed.getHandle('h');
    const wrong = { '10.0.0.0/26': 5, '10.7.0.0/26': 1 };
    await typed.updateHandle('h', wrong, stored?.revision ?? '');
    expect(await ipam().releaseByHandle('h')).toHaveLength(2);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('what nobody has is told, and is no error; duplicates count once', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/26');
    const [first = ''] = await assign(ipam(), 'a', { handle: 'h' });
    const unknown = [ip('10.0.0.63'), ip('10.9.9.9')];
    const outcome = await ipam().release(
      [ip(first), ip(first), ...unknown].map((address) => ({ ip: address })),
    );
    expect(outcome.released.map(formatIp)).toEqual([first]);
    expect(outcome.notAssigned.map(formatIp).sort()).toEqual(['10.0.0.63', '10.9.9.9']);
    expect(await ipam().store.getHandle('h')).toBeNull();
  });

  test('16: a wrong sequence number or handle changes nothing', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/26');
    const [first = '', second = ''] = await assign(ipam(), 'a', { count: 2, handle: 'h' });
    const held = await ipam().allocationOf(ip(first));
    const sequenceNumber = held?.sequenceNumber ?? 0n;
    const before = await ipam().store.getBlock(cidr('10.0.0.0/26'));
    for (const wrong of [{ sequenceNumber: sequenceNumber + 1n }, { handle: 'x' }]) {
      const requests = [{ ip: ip(second) }, { ip: ip(first), ...wrong }];
      await expect(ipam().release(requests)).rejects.toMatchObject({ code: 'ERR_IPAM_CONFLICT' });
    }
    expect((await ipam().store.getBlock(cidr('10.0.0.0/26')))?.revision).toBe(before?.revision);
    const right = [{ ip: ip(first), handle: 'h', sequenceNumber }];
    expect((await ipam().release(right)).released).toHaveLength(1);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('20: an address that cools down is not used before, and belongs to nobody', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/30', { blockSize: 30 });
    await configure(store(), { strictAffinity: true, ipCooldownSeconds: 60 });
    const all = await assign(ipam(), 'a', { count: 4, handle: 'h' });
    await ipam().release([{ ip: ip(all[0] ?? '') }]);
    expect(await ipam().allocationOf(ip(all[0] ?? ''))).toMatchObject({
      handle: undefined,
      releasedAt: '2026-01-02T03:04:05Z',
    });
    expect(await inspect(store())).toEqual(CLEAN);
    advance(59_000);
    expect(await assign(ipam(), 'a')).toEqual([]);
    const again = { owner: hostOwner('a'), ip: ip(all[0] ?? '') };
    await expect(ipam().assignIp(again)).rejects.toThrow('it is cooling down');
    advance(2000);
    expect(await assign(ipam(), 'a')).toEqual([all[0]]);
  });

  test('20: elapsed cooldowns of idle blocks end, and a block of nobody goes with its last one', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/30', { blockSize: 30 });
    await configure(store(), { ipCooldownSeconds: 60 });
    await assign(ipam(), 'a', { handle: 'h' });
    await ipam().releasePool(cidr('10.0.0.0/30'));
    await ipam().releaseByHandle('h');
    await ipam().endCooldowns();
    expect((await ipam().store.listBlocks()).blocks).toHaveLength(1);
    advance(61_000);
    await ipam().endCooldowns();
    expect((await ipam().store.listBlocks()).blocks).toHaveLength(0);
    expect(await inspect(store())).toEqual(CLEAN);
  });
}

function ownership({ store, ipam }: World): void {
  test('10: a block with an address in use survives its pool, and goes with that address', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/26');
    const [first = ''] = await assign(ipam(), 'a', { handle: 'h' });
    await ipam().releasePool(cidr('10.0.0.0/26'));
    await store().delete({ kind: 'IPPool', name: 'pool' });
    const block = await ipam().store.getBlock(cidr('10.0.0.0/26'));
    expect(block?.value.owner).toBeNull();
    expect(await ipam().allocationOf(ip(first))).toMatchObject({ handle: 'h' });
    expect(await inspect(store())).toEqual(CLEAN);
    await ipam().release([{ ip: ip(first) }]);
    expect(await ipam().store.getBlock(cidr('10.0.0.0/26'))).toBeNull();
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('11: a disabled pool gives nothing and takes everything back', async () => {
    await addNodes(store(), ['a']);
    await addPool(store(), 'pool', '10.0.0.0/26');
    const [first = ''] = await assign(ipam(), 'a');
    const pool = await store().get({ kind: 'IPPool', name: 'pool' });
    const disabled = { ...pool.value, spec: { cidr: '10.0.0.0/26', disabled: true } };
    await store().update(pool.key, disabled, pool.revision);
    await expect(ipam().assign(request('a'))).rejects.toMatchObject({ code: 'ERR_IPAM_POOL' });
    await expect(
      ipam().assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.9') }),
    ).rejects.toMatchObject({ code: 'ERR_IPAM_POOL' });
    expect((await ipam().release([{ ip: ip(first) }])).released).toHaveLength(1);
  });

  test('19: a host that goes leaves blocks only to those who borrowed', async () => {
    await addNodes(store(), ['a', 'b']);
    await addPool(store(), 'pool', '10.0.0.0/29', { blockSize: 30 });
    await put(store(), resource('IPAMHost', 'a', {}));
    await assign(ipam(), 'a', { count: 6, handle: 'a.wep' });
    await assign(ipam(), 'b', { count: 2, handle: 'b.wep' });
    await ipam().releaseByHandle('a.wep');
    await ipam().releaseHost('a');
    const { blocks } = await ipam().store.listBlocks();
    expect(blocks.map(({ value }) => value.owner)).toEqual([null]);
    expect((await store().list({ kind: 'IPAMHost' })).items).toEqual([]);
    expect(await inspect(store())).toEqual(CLEAN);
    await ipam().releaseByHandle('b.wep');
    expect((await ipam().store.listBlocks()).blocks).toEqual([]);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('a pool that no longer selects a node gets its empty block back', async () => {
    await put(store(), resource('Node', 'a', {}, { labels: { rack: '1' } }));
    await addPool(store(), 'first', '10.0.0.0/26', { nodeSelector: 'rack == "1"' });
    await addPool(store(), 'second', '10.1.0.0/26', { nodeSelector: 'rack == "2"' });
    expect(await assign(ipam(), 'a', { handle: 'h' })).toEqual(['10.0.0.0']);
    const node = await store().get({ kind: 'Node', name: 'a' });
    const moved = { ...node.value, metadata: { ...node.value.metadata, labels: { rack: '2' } } };
    await store().update(node.key, moved, node.revision);
    expect(await assign(ipam(), 'a')).toEqual(['10.1.0.0']);
    expect((await ipam().store.listBlocks()).blocks).toHaveLength(2);
    await ipam().releaseByHandle('h');
    expect((await ipam().store.listBlocks()).blocks).toHaveLength(1);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('blocks are claimed by hand, and what is owned stays with its owner', async () => {
    await addNodes(store(), ['a', 'b']);
    await addPool(store(), 'pool', '10.0.0.0/24');
    await configure(store(), { strictAffinity: true, autoAllocateBlocks: false });
    expect(await assign(ipam(), 'a')).toEqual([]);
    const first = await ipam().claimRange(hostOwner('a'), cidr('10.0.0.0/26'));
    expect(first.claimed.map(String)).toEqual(['10.0.0.0/26']);
    const second = await ipam().claimRange(hostOwner('b'), cidr('10.0.0.0/25'));
    expect([second.claimed.map(String), second.failed.map(String)]).toEqual([
      ['10.0.0.64/26'],
      ['10.0.0.0/26'],
    ]);
    await expect(ipam().claimRange(hostOwner('a'), cidr('10.0.0.128/27'))).rejects.toThrow(
      'smaller than the minimum',
    );
    expect(await assign(ipam(), 'a')).toEqual(['10.0.0.0']);
    expect(await inspect(store())).toEqual(CLEAN);
  });
}

function foreignData({ store, ipam }: World): void {
  const v32 = {
    cidr: '10.0.0.0/30',
    affinity: 'host:a',
    strictAffinity: true,
    allocations: [null, 0, null, null],
    unallocated: [3, 0, 2],
    attributes: [{ handle_id: 'old\r\nsecond line', secondary: null }],
  };
  const seed = async (spec: object): Promise<void> => {
    await addNodes(store(), ['a', 'b']);
    await addPool(store(), 'pool', '10.0.0.0/30', { blockSize: 30 });
    await put(store(), resource('IPAMBlock', '10-0-0-0-30', spec));
  };
  const affinity = (state: string, node = 'a'): Resource =>
    resource('BlockAffinity', `${node}-10-0-0-0-30`, {
      state,
      node,
      cidr: '10.0.0.0/30',
      type: 'host',
      deleted: false,
    });

  test('12, 14: a block of v3.2 and an affinity without a state work and are brought up to date', async () => {
    await seed(v32);
    await put(store(), affinity(''));
    await put(store(), resource('IPAMHandle', 'old', { block: { '10.0.0.0/30': 1 } }));
    expect(await assign(ipam(), 'a', { handle: 'new' })).toEqual(['10.0.0.3']);
    const { value } = await store().get({ kind: 'IPAMBlock', name: '10-0-0-0-30' });
    expect(value.spec).toMatchObject({
      unallocated: [0, 2],
      sequenceNumber: '1',
      sequenceNumberForAllocation: { 3: '0' },
      strictAffinity: false,
    });
    expect(await ipam().releaseByHandle('old')).toHaveLength(1);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('13: a sequence number of 64 bits is kept and counted exactly', async () => {
    await seed({ ...v32, sequenceNumber: '18446744073709551610' });
    await put(store(), affinity('confirmed'));
    await assign(ipam(), 'a');
    await assign(ipam(), 'a');
    const { value } = await store().get({ kind: 'IPAMBlock', name: '10-0-0-0-30' });
    expect(value.spec).toMatchObject({
      sequenceNumber: '18446744073709551612',
      sequenceNumberForAllocation: { 3: '18446744073709551610', 0: '18446744073709551611' },
    });
  });

  test('15: an affinity to another host’s block is removed and gives no right', async () => {
    await seed({ ...v32, affinity: 'host:b', attributes: [{ handle_id: 'h', secondary: {} }] });
    await put(store(), resource('IPAMHandle', 'h', { block: { '10.0.0.0/30': 1 } }));
    await put(store(), affinity('confirmed', 'b'));
    await put(store(), affinity('confirmed', 'a'));
    await configure(store(), { strictAffinity: true });
    expect(await assign(ipam(), 'a')).toEqual([]);
    expect(await inspect(store())).toEqual(CLEAN);
    expect((await ipam().store.listAffinities(hostOwner('a'))).length).toBe(0);
  });

  test.each(['pending', 'pendingDeletion'])('an affinity that is %s is finished', async (state) => {
    await seed({ ...v32, attributes: [{ handle_id: null }] });
    await put(store(), affinity(state));
    expect(await assign(ipam(), 'a')).toEqual(['10.0.0.3']);
    expect(await inspect(store())).toEqual(CLEAN);
  });

  test('a block that breaks the rules is named, left alone and gone around', async () => {
    await seed({ ...v32, unallocated: [3, 3, 1], allocations: [null, 9, null, null] });
    await put(store(), affinity('confirmed'));
    expect(await assign(ipam(), 'a')).toEqual([]);
    const explicit = ipam().assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.2') });
    await expect(explicit).rejects.toThrow(
      'block 10.0.0.0/30 is stored but invalid: ordinal 1 points to attribute 9 of 1; ordinal 3 is free twice',
    );
    const { value } = await store().get({ kind: 'IPAMBlock', name: '10-0-0-0-30' });
    expect(value.spec).toMatchObject({ unallocated: [3, 3, 1] });
  });

  test('what a newer writer added to a block survives', async () => {
    await seed({ ...v32, futureField: { a: 1 } });
    await put(store(), affinity('confirmed'));
    await put(store(), resource('IPAMHandle', 'old', { block: { '10.0.0.0/30': 1 } }));
    await assign(ipam(), 'a');
    const { value } = await store().get({ kind: 'IPAMBlock', name: '10-0-0-0-30' });
    expect(value.spec).toMatchObject({ futureField: { a: 1 } });
  });
}
