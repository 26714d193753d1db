/** spec/ipam.md 10: the states of a tunnel address, and what becomes of each. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { formatIp } from '../../src/base/net/ip.js';
import { MemoryDatastore } from '../../src/datastore/memory/driver.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { hostOwner } from '../../src/ipam/owner.js';
import { reconcileTunnelAddresses } from '../../src/ipam/tunnel-address.js';
import { addPool, CLEAN, inspect, ip, put, resource } from '../support/ipam-world.js';

let store: MemoryDatastore;
let ipam: Ipam;

beforeEach(async () => {
  store = new MemoryDatastore();
  ipam = new Ipam(store);
});
afterEach(async () => store[Symbol.asyncDispose]());

const addNode = (bgp?: object) =>
  put(store, resource('Node', 'a', bgp === undefined ? {} : { bgp }));
const spec = async () => (await store.get({ kind: 'Node', name: 'a' })).value.spec as object;
const held = async () => {
  const { blocks } = await ipam.store.listBlocks();
  return blocks
    .flatMap(({ value }) => value.allocations())
    .map((each) => [formatIp(each.ip), each.handle, each.attributes['type']]);
};

async function change(pool: string, more: object): Promise<void> {
  const item = await store.get({ kind: 'IPPool', name: pool });
  await store.update(
    item.key,
    { ...item.value, spec: { ...(item.value.spec as object), ...more } },
    item.revision,
  );
}

test('assigned when a pool needs it, kept as long as it does, given back with its field after', async () => {
  await addNode();
  await addPool(store, 'p', '10.0.0.0/26', { ipipMode: 'Always' });
  await addPool(store, 'six', 'fd00::/64', { vxlanMode: 'Always' });
  expect(await reconcileTunnelAddresses(ipam, 'a')).toBe(true);
  const first = await spec();
  expect(first).toEqual({
    bgp: { ipv4IPIPTunnelAddr: '10.0.0.0' },
    ipv6VXLANTunnelAddr: expect.stringMatching(/^fd00::/),
  });
  expect(await held()).toEqual(
    expect.arrayContaining([['10.0.0.0', 'ipip-tunnel-addr-a', 'ipipTunnelAddress']]),
  );
  expect(await reconcileTunnelAddresses(ipam, 'a')).toBe(false);
  expect(await spec()).toEqual(first);
  await change('p', { disabled: true });
  await change('six', { vxlanMode: 'Never' });
  expect(await reconcileTunnelAddresses(ipam, 'a')).toBe(true);
  expect([await spec(), await held()]).toEqual([{}, []]);
  expect(await inspect(store)).toEqual(CLEAN);
});

test('moves with the pool', async () => {
  await addNode({ asNumber: 64512 });
  await addPool(store, 'p', '10.0.0.0/26', { ipipMode: 'Always' });
  await reconcileTunnelAddresses(ipam, 'a');
  await change('p', { ipipMode: 'Never' });
  await addPool(store, 'q', '10.1.0.0/26', { ipipMode: 'CrossSubnet' });
  await reconcileTunnelAddresses(ipam, 'a');
  expect(await spec()).toEqual({ bgp: { asNumber: 64512, ipv4IPIPTunnelAddr: '10.1.0.0' } });
  expect(await held()).toEqual([['10.1.0.0', 'ipip-tunnel-addr-a', 'ipipTunnelAddress']]);
});

test('without handle and attributes, as v3.2 leaves it, it is taken over', async () => {
  await addNode({ ipv4IPIPTunnelAddr: '10.0.0.5' });
  await addPool(store, 'p', '10.0.0.0/26', { ipipMode: 'Always' });
  await ipam.assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.5') });
  await reconcileTunnelAddresses(ipam, 'a');
  expect(await held()).toEqual([['10.0.0.5', 'ipip-tunnel-addr-a', 'ipipTunnelAddress']]);
  expect(await inspect(store)).toEqual(CLEAN);
});

test('that is a workload’s stays that, and the Node gets another', async () => {
  await addNode({ ipv4IPIPTunnelAddr: '10.0.0.5' });
  await addPool(store, 'p', '10.0.0.0/26', { ipipMode: 'Always' });
  await ipam.assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.5'), handle: 'pods.c1' });
  await reconcileTunnelAddresses(ipam, 'a');
  expect(await spec()).toEqual({ bgp: { ipv4IPIPTunnelAddr: '10.0.0.0' } });
  expect(await held()).toHaveLength(2);
  await change('p', { ipipMode: 'Never' });
  await reconcileTunnelAddresses(ipam, 'a');
  expect(await held()).toEqual([['10.0.0.5', 'pods.c1', undefined]]);
});

test('that address management does not know is replaced, and left-overs of the handle go', async () => {
  await addNode({ ipv4IPIPTunnelAddr: '10.0.0.9' });
  await addPool(store, 'p', '10.0.0.0/26', { ipipMode: 'Always' });
  await ipam.assignIp({ owner: hostOwner('a'), ip: ip('10.0.0.30'), handle: 'ipip-tunnel-addr-a' });
  await reconcileTunnelAddresses(ipam, 'a');
  expect(await held()).toHaveLength(1);
  const [[address] = []] = await held();
  expect(await spec()).toEqual({ bgp: { ipv4IPIPTunnelAddr: address } });
  expect(await inspect(store)).toEqual(CLEAN);
});

test('pools for workloads only, or for other nodes, need none', async () => {
  await addNode();
  await addPool(store, 'p', '10.0.0.0/26', { ipipMode: 'Always', allowedUses: ['Workload'] });
  await addPool(store, 'q', '10.1.0.0/26', { ipipMode: 'Always', nodeSelector: 'rack == "9"' });
  expect(await reconcileTunnelAddresses(ipam, 'a')).toBe(false);
  expect(await held()).toEqual([]);
});
