import { describe, expect, test } from '@jest/globals';
import { silentLog } from '../../../base/log.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { MemoryDatastore } from '../../../datastore/memory/driver.js';
import type { Resource } from '../../../model/update.js';
import { NodeStartUp } from './start-up.js';

const ETH0 = { interfaceName: 'eth0', ifindex: 2, address: '10.0.0.5/24' };

interface Start {
  readonly hostname?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly address?: string;
}

async function start(store: Datastore, options: Start = {}): Promise<void> {
  const own = { ...ETH0, address: options.address ?? ETH0.address };
  await new NodeStartUp({
    store,
    log: silentLog,
    hostname: options.hostname ?? 'h1',
    version: '0.0.1',
    environment: options.environment ?? {},
    addresses: () => [own],
    signal: new AbortController().signal,
  }).run({ ipv6: true });
}

const nodeSpec = async (store: Datastore, name = 'h1'): Promise<unknown> =>
  (await store.get({ kind: 'Node', name })).value.spec;

const node = (name: string, spec: unknown): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Node',
  metadata: { name },
  spec,
});

async function storeWith(...nodes: readonly Resource[]): Promise<Datastore> {
  const store = new MemoryDatastore();
  for (const value of nodes) await store.create({ kind: 'Node', name: value.metadata.name }, value);
  return store;
}

const AT_1 = { bgp: { ipv4Address: '10.9.9.9/24' } };

describe('the Node of this host', () => {
  test.each([
    ['nothing stored, IP unset', undefined, {}, { bgp: { ipv4Address: '10.0.0.5/24' } }],
    ['stored, IP unset', AT_1, {}, AT_1],
    ['stored, IP=autodetect', AT_1, { IP: 'autodetect' }, { bgp: { ipv4Address: '10.0.0.5/24' } }],
    ['IP=none', AT_1, { IP: 'none' }, AT_1],
    ['a bare IP', undefined, { IP: '10.0.0.5' }, { bgp: { ipv4Address: '10.0.0.5/24' } }],
    ['a foreign IP', undefined, { IP: '192.0.2.1' }, { bgp: { ipv4Address: '192.0.2.1/32' } }],
    ['a CIDR', undefined, { IP: '192.0.2.1/28' }, { bgp: { ipv4Address: '192.0.2.1/28' } }],
    ['AS=1.10', AT_1, { AS: '1.10' }, { bgp: { ...AT_1.bgp, asNumber: 65_546 } }],
    ['IP6', AT_1, { IP6: 'fd00::1/64' }, { bgp: { ...AT_1.bgp, ipv6Address: 'fd00::1/64' } }],
    ['backend none', undefined, { CALICO_NETWORKING_BACKEND: 'none' }, {}],
    [
      'a Kubernetes name',
      AT_1,
      { CALICO_K8S_NODE_REF: 'k1' },
      { ...AT_1, orchRefs: [{ nodeName: 'k1', orchestrator: 'k8s' }] },
    ],
  ])('%s', async (_name, stored, environment, expected) => {
    const store = await storeWith(...(stored ? [node('h1', stored)] : []));
    await start(store, { environment });
    expect(await nodeSpec(store)).toEqual(expected);
  });

  test.each([
    [{ IP: 'fd00::1' }, 'IP: "fd00::1" is not an IPv4 address'],
    [{ IP: 'here' }, 'IP: "here" is not an IPv4 address'],
    [{ AS: '4294967296' }, 'AS: "4294967296" is not an AS number'],
    [{ AS: '70000.1' }, 'AS: "70000.1" is not an AS number'],
    [{ CALICO_NETWORKING_BACKEND: 'gobgp' }, 'CALICO_NETWORKING_BACKEND: "gobgp" is not one of'],
  ])('%j is refused', async (environment, message) => {
    await expect(start(await storeWith(), { environment })).rejects.toThrow(message);
  });

  test('without any address it exists, but not where BIRD is to run', async () => {
    const store = await storeWith();
    await start(store, { address: '127.0.0.1/8' });
    expect(await nodeSpec(store)).toEqual({});
    const environment = { CALICO_NETWORKING_BACKEND: 'bird' };
    const starting = start(await storeWith(), { address: '127.0.0.1/8', environment });
    await expect(starting).rejects.toThrow('no address for this host');
  });
});

describe("an address that is another node's", () => {
  const other = node('h2', { bgp: { ipv4Address: '10.0.0.5/16' } });

  test('is refused, naming both nodes', async () => {
    const message = "node h1: address 10.0.0.5 is already node h2's";
    await expect(start(await storeWith(other))).rejects.toThrow(message);
  });

  test('is taken when the check is off, and when the Node had it before', async () => {
    const store = await storeWith(other);
    await start(store, { environment: { DISABLE_NODE_IP_CHECK: 'true' } });
    await start(store);
    expect(await nodeSpec(store)).toEqual({ bgp: { ipv4Address: '10.0.0.5/24' } });
  });

  test('clears what was detected before', async () => {
    const store = await storeWith(other, node('h1', { bgp: { ipv4Address: '10.0.0.9/24' } }));
    const starting = start(store, { environment: { IP: 'autodetect' } });
    await expect(starting).rejects.toThrow('already node h2');
    expect(await nodeSpec(store)).toEqual({});
  });
});

describe('default pools and cluster information', () => {
  const pools = async (store: Datastore): Promise<readonly unknown[]> =>
    (await store.list({ kind: 'IPPool' })).items.map(({ value }) => value.spec);

  test('twenty hosts that start at once make one pool each of IPv4 and IPv6, and one GUID', async () => {
    const store = await storeWith();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        start(store, { hostname: `h${i}`, address: `10.0.0.${i + 1}/24` }),
      ),
    );
    const made = await pools(store);
    expect(made).toHaveLength(2);
    expect(made).toContainEqual(
      expect.objectContaining({
        ...{ cidr: '192.168.0.0/16', ipipMode: 'Never', natOutgoing: true, blockSize: 26 },
      }),
    );
    expect(made).toContainEqual(
      expect.objectContaining({ cidr: expect.stringMatching(/^fd.*::\/48$/), blockSize: 122 }),
    );
    const { items } = await store.list({ kind: 'ClusterInformation' });
    expect(items.map(({ value }) => value.spec)).toEqual([
      {
        ...{ clusterGUID: expect.stringMatching(/^[0-9a-f]{32}$/), calicoVersion: '0.0.1' },
        datastoreReady: true,
      },
    ]);
  });

  test('the environment decides about the pools', async () => {
    const store = await storeWith();
    const environment = {
      CALICO_IPV4POOL_CIDR: '10.65.0.0/16',
      CALICO_IPV4POOL_IPIP: 'cross-subnet',
      CALICO_IPV4POOL_NAT_OUTGOING: 'no',
      CALICO_IPV4POOL_BLOCK_SIZE: '28',
      CALICO_IPV6POOL_CIDR: 'none',
    };
    await start(store, { environment });
    expect(await pools(store)).toEqual([
      expect.objectContaining({
        ...{ cidr: '10.65.0.0/16', ipipMode: 'CrossSubnet', natOutgoing: false, blockSize: 28 },
      }),
    ]);
  });

  test('an IPv4 range that covers an address of the host is avoided', async () => {
    const store = await storeWith();
    await start(store, { address: '192.168.3.4/24' });
    expect(await pools(store)).toContainEqual(expect.objectContaining({ cidr: '172.16.0.0/16' }));
  });

  test.each([
    [
      { NO_DEFAULT_POOLS: 'true', CALICO_IPV4POOL_CIDR: '10.0.0.0/8' },
      'CALICO_IPV4POOL_CIDR is set',
    ],
    [
      { CALICO_IPV4POOL_CIDR: 'fd00::/48' },
      'CALICO_IPV4POOL_CIDR: "fd00::/48" is not an IPv4 CIDR',
    ],
    [{ CALICO_IPV4POOL_IPIP: 'maybe' }, 'CALICO_IPV4POOL_IPIP: "maybe" is not one of'],
    [{ CALICO_IPV4POOL_BLOCK_SIZE: '33' }, 'CALICO_IPV4POOL_*'],
  ])('%j is refused', async (environment, message) => {
    await expect(start(await storeWith(), { environment })).rejects.toThrow(message);
  });

  test('NO_DEFAULT_POOLS makes none; the types of the cluster are gathered', async () => {
    const store = await storeWith();
    await start(store, { environment: { NO_DEFAULT_POOLS: 'true', CLUSTER_TYPE: 'k8s,bgp' } });
    await start(store, { environment: { NO_DEFAULT_POOLS: 'TRUE', CLUSTER_TYPE: 'bgp,canal' } });
    expect(await pools(store)).toEqual([]);
    const { value } = await store.get({ kind: 'ClusterInformation', name: 'default' });
    expect(value.spec).toMatchObject({ clusterType: 'k8s,bgp,canal' });
  });
});
