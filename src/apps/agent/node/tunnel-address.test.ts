import { beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog } from '../../../base/log.js';
import { parseIp } from '../../../base/net/ip.js';
import { MemoryDatastore } from '../../../datastore/memory/driver.js';
import { Ipam } from '../../../ipam/ipam.js';
import { hostOwner } from '../../../ipam/owner.js';
import type { Resource } from '../../../model/update.js';
import { TunnelAddress } from './tunnel-address.js';

let store: MemoryDatastore;
let ipam: Ipam;
beforeEach(async () => {
  store = new MemoryDatastore();
  ipam = new Ipam(store);
  await put('Node', 'h1', { bgp: { ipv4Address: '10.0.0.1/24' } });
});

async function put(kind: string, name: string, spec: unknown): Promise<void> {
  const value: Resource = {
    apiVersion: 'projectcalico.org/v3',
    kind,
    metadata: { name },
    spec,
  };
  const key = { kind, name };
  const stored = await store.get(key).catch(() => undefined);
  if (stored) await store.update(key, value, stored.revision);
  else await store.create(key, value);
}

const pool = (ipipMode: string, cidr = '10.65.0.0/24', more: object = {}): Promise<void> =>
  put('IPPool', 'p', { cidr, ipipMode, ...more });
const inNode = async (): Promise<unknown> =>
  ((await store.get({ kind: 'Node', name: 'h1' })).value.spec as { bgp: Record<string, unknown> })
    .bgp['ipv4IPIPTunnelAddr'];
const setInNode = (address: string): Promise<void> =>
  put('Node', 'h1', { bgp: { ipv4Address: '10.0.0.1/24', ipv4IPIPTunnelAddr: address } });
const holderOf = async (address: string): Promise<unknown> => {
  const ip = parseIp(address);
  return ip && (await ipam.allocationOf(ip))?.handle;
};
const reconcile = (): Promise<void> =>
  new TunnelAddress({ store, hostname: 'h1', log: silentLog }).reconcile();

const OURS = 'ipip-tunnel-addr-h1';

describe('the address of the end of IP-in-IP', () => {
  test('is assigned once a pool encapsulates, kept, and released when none does', async () => {
    await pool('Never');
    await reconcile();
    expect(await inNode()).toBeUndefined();
    await pool('CrossSubnet');
    await reconcile();
    const address = String(await inNode());
    expect(await holderOf(address)).toBe(OURS);
    await pool('Always');
    await reconcile();
    expect(await inNode()).toBe(address);
    await pool('Never');
    await reconcile();
    expect(await inNode()).toBeUndefined();
    expect(await holderOf(address)).toBeUndefined();
  });

  test('in the Node and assigned to nobody is taken', async () => {
    await pool('Always');
    await setInNode('10.65.0.77');
    await reconcile();
    expect(await inNode()).toBe('10.65.0.77');
    expect(await holderOf('10.65.0.77')).toBe(OURS);
  });

  test("in the Node and assigned to a workload is replaced, and stays the workload's", async () => {
    await pool('Always');
    const ip = parseIp('10.65.0.77');
    if (ip) await ipam.assignIp({ handle: 'other', owner: hostOwner('h1'), ip });
    await setInNode('10.65.0.77');
    await reconcile();
    expect(await inNode()).not.toBe('10.65.0.77');
    expect(await holderOf(String(await inNode()))).toBe(OURS);
    expect(await holderOf('10.65.0.77')).toBe('other');
  });

  test('outside the pools that encapsulate is replaced', async () => {
    await pool('Always');
    await reconcile();
    const first = String(await inNode());
    await put('IPPool', 'q', { cidr: '10.66.0.0/24', ipipMode: 'Always' });
    await pool('Never');
    await reconcile();
    expect(await inNode()).toMatch(/^10\.66\.0\./);
    expect(await holderOf(first)).toBeUndefined();
  });

  test('is not taken from a disabled pool, nor for a host without a place in the network', async () => {
    await pool('Always', '10.65.0.0/24', { disabled: true });
    await reconcile();
    expect(await inNode()).toBeUndefined();
    await pool('Always');
    await put('Node', 'h1', {});
    await reconcile();
    expect((await store.get({ kind: 'Node', name: 'h1' })).value.spec).toEqual({});
  });
});
