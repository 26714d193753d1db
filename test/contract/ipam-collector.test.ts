/** Garbage collection (spec/ipam.md 12): what is taken back, when, and what never is. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { formatIp } from '../../src/base/net/ip.js';
import { MemoryDatastore } from '../../src/datastore/memory/driver.js';
import { Collector } from '../../src/ipam/collector.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { hostOwner } from '../../src/ipam/owner.js';
import { deletePool } from '../../src/ipam/pool-changes.js';
import { ResourceClient } from '../../src/datastore/client.js';
import { addNodes, addPool, CLEAN, inspect, put, resource } from '../support/ipam-world.js';

const GRACE_MS = 900_000;

let store: MemoryDatastore;
let ipam: Ipam;
let collector: Collector;
let elapsedMs: number;

beforeEach(async () => {
  elapsedMs = 0;
  store = new MemoryDatastore();
  ipam = new Ipam(store);
  collector = new Collector({ ipam, monotonic: () => elapsedMs, gracePeriodMs: GRACE_MS });
  await addNodes(store, ['a', 'b']);
  await addPool(store, 'pool', '10.0.0.0/26', { blockSize: 29 });
});
afterEach(async () => store[Symbol.asyncDispose]());

async function assign(
  node: string,
  handle: string,
  count = 1,
  more: object = {},
): Promise<string[]> {
  const request = { owner: hostOwner(node), family: 4, count, handle } as const;
  const { addresses } = await ipam.assign({ ...request, attributes: { node, ...more } });
  return addresses.map(formatIp);
}

async function addEndpoint(
  name: string,
  node: string,
  ipNetworks: readonly string[],
): Promise<void> {
  const value = resource('WorkloadEndpoint', name, { node, ipNetworks });
  await store.create({ kind: 'WorkloadEndpoint', namespace: 'default', name }, value);
}

const held = async () => {
  const { blocks } = await ipam.store.listBlocks();
  return blocks.flatMap(({ value }) => value.allocations()).map((each) => formatIp(each.ip));
};

test('an address is released when nobody has used it for the grace period', async () => {
  const [used = ''] = await assign('a', 'pods.used');
  await assign('a', 'pods.leaked');
  await addEndpoint('used', 'a', [`${used}/32`]);
  expect(await collector.round()).toMatchObject({ candidates: 1, released: 0 });
  elapsedMs += GRACE_MS - 1;
  expect(await collector.round()).toMatchObject({ candidates: 1, released: 0 });
  elapsedMs += 1;
  expect(await collector.round()).toMatchObject({ candidates: 0, released: 1 });
  expect(await held()).toEqual([used]);
  expect(await inspect(store)).toEqual(CLEAN);
});

test('one that comes into use meanwhile starts anew, and so does one that is assigned again', async () => {
  const [late = ''] = await assign('a', 'pods.late');
  await collector.round();
  await addEndpoint('late', 'a', [late]);
  elapsedMs += GRACE_MS;
  expect(await collector.round()).toMatchObject({ candidates: 0, released: 0 });
  await store.delete({ kind: 'WorkloadEndpoint', namespace: 'default', name: 'late' });
  expect(await collector.round()).toMatchObject({ candidates: 1, released: 0 });
  await ipam.releaseByHandle('pods.late');
  for (let i = 0; i < 8; i += 1) await assign('a', `pods.n${i}`);
  elapsedMs += GRACE_MS;
  expect(await collector.round()).toMatchObject({ candidates: 8, released: 0 });
});

test('a handle with one address in use keeps the others', async () => {
  const [used = ''] = await assign('a', 'pods.two', 2);
  await addEndpoint('two', 'a', [used]);
  await collector.round();
  elapsedMs += GRACE_MS;
  expect(await collector.round()).toMatchObject({ released: 0 });
  expect(await held()).toHaveLength(2);
});

test('what has no handle or no node is never taken, and tunnels not while their node exists', async () => {
  await ipam.assign({ owner: hostOwner('a'), family: 4, count: 1, attributes: { node: 'a' } });
  await ipam.assign({ owner: hostOwner('a'), family: 4, count: 1, handle: 'note' });
  await assign('a', 'ipip-tunnel-addr-a', 1, { type: 'ipipTunnelAddress' });
  await collector.round();
  elapsedMs += 10 * GRACE_MS;
  expect(await collector.round()).toMatchObject({ released: 0 });
  expect(await held()).toHaveLength(3);
});

test('of a node that is gone, everything goes at once', async () => {
  await assign('b', 'pods.b', 3);
  await assign('b', 'ipip-tunnel-addr-b', 1, { type: 'ipipTunnelAddress' });
  await store.delete({ kind: 'Node', name: 'b' });
  expect(await collector.round()).toMatchObject({ released: 4, hosts: ['b'] });
  expect((await ipam.store.listBlocks()).blocks).toEqual([]);
  expect(await inspect(store)).toEqual(CLEAN);
});

test('an empty block is given up after the grace period, but not a host’s last', async () => {
  await assign('a', 'pods.many', 12);
  await ipam.releaseByHandle('pods.many');
  expect(await collector.round()).toMatchObject({ blocks: 0 });
  elapsedMs += GRACE_MS;
  expect(await collector.round()).toMatchObject({ blocks: 1 });
  elapsedMs += GRACE_MS;
  expect(await collector.round()).toMatchObject({ blocks: 0 });
  expect((await ipam.store.listBlocks()).blocks).toHaveLength(1);
  expect(await inspect(store)).toEqual(CLEAN);
});

test('does nothing while the datastore is locked', async () => {
  await put(store, resource('ClusterInformation', 'default', { datastoreReady: false }));
  await assign('b', 'pods.b');
  await store.delete({ kind: 'Node', name: 'b' });
  expect(await collector.round()).toEqual({ candidates: 0, released: 0, hosts: [], blocks: 0 });
  expect(await held()).toHaveLength(1);
});

test('a deleted pool leaves its addresses, and one with blocks of another size cannot take its place', async () => {
  await assign('a', 'pods.stay');
  const { assigned } = await deletePool(ipam, 'pool');
  expect(assigned).toBe(1);
  expect((await ipam.store.listBlocks()).blocks.map(({ value }) => value.owner)).toEqual([null]);
  const client = new ResourceClient(store);
  const again = (blockSize: number) =>
    resource('IPPool', 'again', { cidr: '10.0.0.0/26', blockSize });
  await expect(client.create(again(28))).rejects.toThrow('there are blocks of another size in it');
  await client.create(again(29));
  await ipam.releaseByHandle('pods.stay');
  expect(await inspect(store)).toEqual(CLEAN);
});
