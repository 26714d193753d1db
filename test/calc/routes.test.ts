/** Which ranges have a route on a host, and how it leads there (spec/networking.md 7). */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { CalcGraph } from '../../src/calc/graph.js';
import type { DesiredRoute } from '../../src/model/desired.js';
import { cidrName } from '../../src/model/ipam-paths.js';
import type { Resource, ResourceUpdate } from '../../src/model/update.js';
import { DesiredState } from '../support/desired-evaluator.js';

let graph: CalcGraph;
let state: DesiredState;

beforeEach(() => {
  state = new DesiredState();
  graph = new CalcGraph({ hostname: 'n1', onUpdate: (update) => state.onUpdate(update) });
  graph.onInSync();
});

function object(kind: string, path: string, spec: unknown): ResourceUpdate {
  const [name = '', namespace] = path.split('/').reverse();
  const place = namespace === undefined ? {} : { namespace };
  const value: Resource = {
    apiVersion: 'projectcalico.org/v3',
    kind,
    metadata: { name, ...place },
    spec,
  };
  return { key: { kind, name, ...place }, value, revision: '1' };
}

const gone = (update: ResourceUpdate): ResourceUpdate => ({ ...update, value: null });

const node = (name: string, ipv4Address: string, bgp: object = {}): ResourceUpdate =>
  object('Node', name, { bgp: { ipv4Address, ...bgp } });
const pool = (name: string, cidr: string, spec: object = {}): ResourceUpdate =>
  object('IPPool', name, { cidr, ...spec });
const workload = (name: string, host: string, net: string): ResourceUpdate =>
  object('WorkloadEndpoint', `blue/${name}`, {
    ...{ orchestrator: 'k8s', node: host, pod: name, endpoint: 'eth0' },
    ...{ interfaceName: `cali${name}`, ipNetworks: [net] },
  });

/** `holders`: node by ordinal of an allocated address. */
function block(
  cidr: string,
  owner: string | null,
  holders: Readonly<Record<number, string>> = {},
): ResourceUpdate {
  const ordinals = Object.keys(holders).map(Number);
  const allocations = Array.from({ length: 64 }, (_, i) =>
    ordinals.includes(i) ? ordinals.indexOf(i) : null,
  );
  return object('IPAMBlock', cidrName(cidr), {
    ...{ cidr, affinity: owner === null ? null : `host:${owner}`, allocations, unallocated: [] },
    attributes: ordinals.map((ordinal) => ({ secondary: { node: holders[ordinal] } })),
  });
}

const NODES = [
  node('n1', '10.0.1.1/24'),
  node('n2', '10.0.1.2/24'),
  node('n3', '10.0.2.3/24', { ipv4IPIPTunnelAddr: '10.65.3.0' }),
];

function feed(...updates: readonly ResourceUpdate[]): void {
  for (const update of updates) graph.onResource(update);
  graph.flush();
}

const how = ({ nextHop, encapsulation, isHost }: DesiredRoute): string =>
  [nextHop, encapsulation, isHost ? 'host' : undefined].filter((word) => word).join(' ');

const routes = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...state.blockRoutes, ...state.routes].map(([cidr, route]) => [cidr, how(route)]),
  );

describe('the pool of a destination and the subnets of both hosts decide', () => {
  const BLOCKS = [block('10.65.2.0/26', 'n2'), block('10.65.3.0/26', 'n3')];

  test.each([
    ['no pool', {}, '10.0.1.2', '10.0.2.3'],
    ['Never', { ipipMode: 'Never', vxlanMode: 'Never' }, '10.0.1.2', '10.0.2.3'],
    ['IPIP Always', { ipipMode: 'Always' }, '10.0.1.2 ipip', '10.0.2.3 ipip'],
    ['IPIP CrossSubnet', { ipipMode: 'CrossSubnet' }, '10.0.1.2', '10.0.2.3 ipip'],
    ['disabled', { ipipMode: 'Always', disabled: true }, '10.0.1.2 ipip', '10.0.2.3 ipip'],
    ['VXLAN without ends of tunnels', { vxlanMode: 'Always' }, undefined, undefined],
    ['VXLAN CrossSubnet', { vxlanMode: 'CrossSubnet' }, '10.0.1.2', undefined],
  ])('%s', (name, spec, near, far) => {
    feed(...NODES, ...BLOCKS);
    if (name !== 'no pool') feed(pool('p', '10.65.0.0/16', spec));
    expect(routes()['10.65.2.0/26']).toBe(near);
    expect(routes()['10.65.3.0/26']).toBe(far);
  });

  test('the longest pool that holds it counts, and its removal ends that', () => {
    const small = pool('small', '10.65.3.0/24', { ipipMode: 'Never' });
    feed(...NODES, ...BLOCKS, pool('large', '10.65.0.0/16', { ipipMode: 'Always' }), small);
    expect(routes()['10.65.3.0/26']).toBe('10.0.2.3');
    feed(gone(small));
    expect(routes()['10.65.3.0/26']).toBe('10.0.2.3 ipip');
  });

  test('a host that does not know its subnet shares it with nobody', () => {
    feed(...NODES, ...BLOCKS, pool('p', '10.65.0.0/16', { ipipMode: 'CrossSubnet' }));
    feed(node('n1', '10.0.1.1'));
    expect(routes()['10.65.2.0/26']).toBe('10.0.1.2 ipip');
  });

  test('endpoints in no block go the same way', () => {
    feed(...NODES, workload('w', 'n3', '10.65.9.9/32'));
    expect(routes()['10.65.9.9/32']).toBe('10.0.2.3');
    feed(pool('p', '10.65.0.0/16', { ipipMode: 'CrossSubnet' }));
    expect(routes()['10.65.9.9/32']).toBe('10.0.2.3 ipip');
  });

  test("a host's end of a tunnel is reached through it, as the host's own address", () => {
    feed(...NODES, pool('p', '10.65.0.0/16', { ipipMode: 'Always' }));
    expect(routes()['10.65.3.0/32']).toBe('10.0.2.3 ipip host');
    feed(node('n3', '10.0.2.3/24'));
    expect(routes()).toEqual({});
  });
});

describe('blocks', () => {
  test('an endpoint in a block of its own node needs no route of its own', () => {
    const endpoint = workload('w', 'n2', '10.65.2.5/32');
    feed(...NODES, endpoint);
    expect(routes()).toMatchObject({ '10.65.2.5/32': '10.0.1.2' });
    feed(block('10.65.2.0/26', 'n2'));
    expect(state.routes.size).toBe(0);
    expect(routes()).toMatchObject({ '10.65.2.0/26': '10.0.1.2' });
    feed(block('10.65.2.0/26', 'n3'));
    expect(state.routes.get('10.65.2.5/32')).toEqual({ node: 'n2', nextHop: '10.0.1.2' });
    feed(block('10.65.2.0/26', 'n2'), gone(block('10.65.2.0/26', 'n2')));
    expect(state.routes.size).toBe(1);
    expect(state.blockRoutes.has('10.65.2.0/26')).toBe(false);
  });

  test('a borrowed address leads to the borrower, in a block of anybody', () => {
    feed(
      ...NODES,
      block('10.65.1.0/26', 'n1', { 4: 'n3' }),
      block('10.65.2.0/26', 'n2', { 7: 'n1' }),
    );
    expect(routes()).toMatchObject({ '10.65.1.4/32': '10.0.2.3', '10.65.2.0/26': '10.0.1.2' });
    expect(routes()['10.65.2.7/32']).toBeUndefined();
    feed(block('10.65.1.0/26', 'n1'));
    expect(routes()['10.65.1.4/32']).toBeUndefined();
  });

  test('one of this host leads nowhere but for its workloads, unless it is a single address', () => {
    feed(...NODES, block('10.65.1.0/26', 'n1'), block('10.65.1.64/32', 'n1'));
    expect([...state.localBlocks]).toEqual(['10.65.1.0/26']);
    feed(block('10.65.1.0/26', null));
    expect([...state.localBlocks]).toEqual([]);
  });

  test('one of a node without an address covers nothing', () => {
    feed(block('10.65.2.0/26', 'n2'), workload('w', 'n2', '10.65.2.5/32'));
    expect(routes()).toEqual({});
    feed(...NODES);
    expect(Object.keys(routes())).toEqual(['10.65.2.0/26', '10.65.3.0/32']);
    feed(gone(NODES[1] ?? block('', null)));
    expect(Object.keys(routes())).toEqual(['10.65.3.0/32']);
  });
});

test('hosts say where they are, and this one whether tunnels are in use', () => {
  feed(...NODES, pool('p', '10.65.0.0/16', { ipipMode: 'CrossSubnet' }));
  expect([...state.hosts]).toEqual([
    ['n2', { addresses: ['10.0.1.2'] }],
    ['n3', { addresses: ['10.0.2.3'] }],
  ]);
  const off = { vxlan4: false, vxlan6: false };
  expect(state.localHost).toEqual({ address4: '10.0.1.1/24', ipip: true, ...off });
  feed(node('n1', '10.0.1.1/24', { ipv4IPIPTunnelAddr: '10.65.1.0' }));
  expect(state.localHost).toMatchObject({ ipipAddress: '10.65.1.0' });
  feed(...NODES.map(gone), gone(pool('p', '')));
  expect(state.localHost).toBeNull();
  expect(Object.entries(graph.stats().sizes).filter(([, size]) => size !== 0)).toEqual([]);
});
