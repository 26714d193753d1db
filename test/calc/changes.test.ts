/** What a change of the datastore makes of the output, update by update (spec/policy.md 13.1, 13.4, 17.13). */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { CalcGraph } from '../../src/calc/graph.js';
import type { DesiredUpdate } from '../../src/model/desired.js';
import type { Resource, ResourceUpdate } from '../../src/model/update.js';
import { DesiredState } from '../support/desired-evaluator.js';
import { gone } from '../support/world-resources.js';

let graph: CalcGraph;
let state: DesiredState;
let said: DesiredUpdate[];

beforeEach(() => {
  said = [];
  state = new DesiredState();
  graph = new CalcGraph({
    hostname: 'n1',
    onUpdate: (update) => {
      said.push(update);
      state.onUpdate(update);
    },
  });
});

function object(
  kind: string,
  path: string,
  spec: object,
  labels: Readonly<Record<string, string>> = {},
): ResourceUpdate {
  const [first = '', second] = path.split('/');
  const key =
    second === undefined ? { kind, name: first } : { kind, namespace: first, name: second };
  const { kind: _, ...metadata } = { ...key, labels };
  const value: Resource = { apiVersion: 'projectcalico.org/v3', kind, metadata, spec };
  return { key, value, revision: '1' };
}

function pod(name: string, spec: object = {}, labels: Readonly<Record<string, string>> = {}) {
  const defaults = {
    orchestrator: 'k8s',
    node: 'n1',
    pod: name,
    endpoint: 'eth0',
    interfaceName: `cali${name}`,
    ipNetworks: ['10.65.0.2/32'],
    profiles: ['open'],
  };
  return object('WorkloadEndpoint', `blue/${name}`, { ...defaults, ...spec }, labels);
}

const ALLOW = { action: 'Allow' };
const openProfile = object('Profile', 'open', { ingress: [ALLOW], egress: [ALLOW] });
const gnp = (name: string, spec: object): ResourceUpdate =>
  object('GlobalNetworkPolicy', name, spec);

/** Feeds one batch; answers with what was said of it. */
function batch(...updates: readonly ResourceUpdate[]): DesiredUpdate[] {
  graph.onInSync();
  said = [];
  for (const one of updates) graph.onResource(one);
  graph.flush();
  return said.filter(({ type }) => type !== 'in-sync');
}

const types = (updates: readonly DesiredUpdate[]): string[] => updates.map(({ type }) => type);
const tiersOf = (id: string): unknown => state.endpoints.get(id)?.tiers;

describe('before the snapshot is complete', () => {
  test('nothing is said, and the first flush after it ends with in-sync', () => {
    graph.onResource(pod('a'));
    graph.onResource(openProfile);
    graph.flush();
    expect(said).toEqual([]);
    graph.onInSync();
    graph.flush();
    expect(types(said)).toEqual(['profile', 'workload-endpoint', 'in-sync']);
    graph.onInSync();
    graph.flush();
    expect(said).toHaveLength(3);
  });
});

describe('a workload of this host', () => {
  test('is said with its addresses of both families, and everything it refers to before it', () => {
    const spec = { ipNetworks: ['10.65.0.2/32', 'fd00:0::2/128'], mac: 'ca:fe:00:00:00:01' };
    const policy = gnp('p', {
      selector: 'has(app)',
      ingress: [{ ...ALLOW, source: { selector: 'x == "y"' } }],
    });
    const updates = batch(pod('a', spec, { app: 'a' }), policy, openProfile);
    expect(types(updates)).toEqual(['ip-set', 'policy', 'profile', 'workload-endpoint']);
    expect(state.endpoints.get('blue/a')).toEqual({
      interfaceName: 'calia',
      addresses: ['10.65.0.2', 'fd00::2'],
      mac: 'ca:fe:00:00:00:01',
      tiers: [
        {
          name: 'default',
          defaultAction: 'deny',
          ingress: ['GlobalNetworkPolicy/p'],
          egress: [],
        },
      ],
      profiles: ['open'],
    });
  });

  test('without an address is withheld until it has one', () => {
    expect(batch(pod('a', { ipNetworks: [] }))).toEqual([]);
    expect(types(batch(pod('a')))).toEqual(['workload-endpoint']);
    expect(types(batch(pod('a', { ipNetworks: [] })))).toEqual(['workload-endpoint-remove']);
  });

  test('that moves to another host goes, and gets a route', () => {
    const node = object('Node', 'n2', { bgp: { ipv4Address: '192.0.2.2/24' } });
    batch(pod('a'), node);
    const updates = batch(pod('a', { node: 'n2' }));
    expect(types(updates)).toEqual(['route', 'workload-endpoint-remove']);
  });

  test('that claims an interface already claimed waits until the first goes', () => {
    const first = pod('a', { interfaceName: 'calix' });
    const second = pod('b', { interfaceName: 'calix' });
    batch(second);
    expect([...state.endpoints.keys()]).toEqual(['blue/b']);
    batch(first);
    expect([...state.endpoints.keys()]).toEqual(['blue/a']);
    batch(gone(first));
    expect([...state.endpoints.keys()]).toEqual(['blue/b']);
  });

  test('lists a missing profile all the same; the profile is said when it appears', () => {
    batch(pod('a', { profiles: ['late', 'open'] }), openProfile);
    expect(state.endpoints.get('blue/a')?.profiles).toEqual(['late', 'open']);
    expect(state.profiles.has('late')).toBe(false);
    const late = object('Profile', 'late', { ingress: [ALLOW] });
    expect(types(batch(late))).toEqual(['profile']);
    expect(types(batch(gone(late)))).toEqual(['profile-remove']);
  });
});

describe('a policy', () => {
  const policy = gnp('p', { ingress: [{ ...ALLOW, source: { selector: 'has(x)' } }] });

  beforeEach(() => {
    batch(pod('a', {}, { app: 'a' }), openProfile, policy);
  });

  test('deleted and created again unchanged within a batch says nothing', () => {
    expect(batch(gone(policy), policy)).toEqual([]);
  });

  test('said again unchanged says nothing', () => {
    expect(batch(policy, policy)).toEqual([]);
  });

  test('renamed in one batch keeps its sets, and the endpoint switches in between', () => {
    const renamed = gnp('q', policy.value?.spec ?? {});
    expect(types(batch(gone(policy), renamed))).toEqual([
      'policy',
      'workload-endpoint',
      'policy-remove',
    ]);
  });

  test('that changes its order changes the endpoint alone', () => {
    batch(gnp('q', { order: 5, ingress: [ALLOW] }));
    expect(tiersOf('blue/a')).toMatchObject([
      { ingress: ['GlobalNetworkPolicy/q', 'GlobalNetworkPolicy/p'] },
    ]);
    const updates = batch(gnp('p', { ...(policy.value?.spec as object), order: 1 }));
    expect(types(updates)).toEqual(['workload-endpoint']);
    expect(tiersOf('blue/a')).toMatchObject([
      { ingress: ['GlobalNetworkPolicy/p', 'GlobalNetworkPolicy/q'] },
    ]);
  });

  test('that selects nothing here any more goes with its sets', () => {
    expect(
      types(batch(gnp('p', { ...(policy.value?.spec as object), selector: 'none == "x"' }))),
    ).toEqual(['workload-endpoint', 'policy-remove', 'ip-set-remove']);
  });

  test('of the untracked or pre-DNAT stage does not touch workloads', () => {
    const special = { applyOnForward: true, ingress: [{ action: 'Deny' }] };
    expect(batch(gnp('u', { ...special, doNotTrack: true }))).toEqual([]);
    expect(batch(gnp('v', { ...special, preDNAT: true }))).toEqual([]);
    expect(types(batch(gnp('p', { ...special, preDNAT: true })))).toEqual([
      'workload-endpoint',
      'policy-remove',
      'ip-set-remove',
    ]);
  });

  test('that is staged is never heard of', () => {
    expect(batch(object('StagedGlobalNetworkPolicy', 's', { ingress: [ALLOW] }))).toEqual([]);
  });

  test('of a tier that does not exist comes last, with default deny', () => {
    batch(gnp('t', { tier: 'late', egress: [ALLOW] }));
    expect(tiersOf('blue/a')).toMatchObject([
      { name: 'default' },
      { name: 'late', defaultAction: 'deny', ingress: [], egress: ['GlobalNetworkPolicy/t'] },
    ]);
    batch(object('Tier', 'late', { order: 1, defaultAction: 'Pass' }));
    expect(tiersOf('blue/a')).toMatchObject([
      { name: 'late', defaultAction: 'pass' },
      { name: 'default', defaultAction: 'deny' },
    ]);
  });
});

describe('an IP set', () => {
  const policy = gnp('p', { egress: [{ ...ALLOW, destination: { selector: 'app == "db"' } }] });
  const remote = (name: string, address: string): ResourceUpdate =>
    pod(name, { node: 'n2', ipNetworks: [`${address}/32`] }, { app: 'db' });

  beforeEach(() => {
    batch(pod('a'), openProfile, policy, remote('old', '10.65.1.1'));
  });

  test('keeps an address that a second endpoint brings when the first goes', () => {
    expect(batch(remote('new', '10.65.1.1'))).toEqual([]);
    expect(batch(gone(remote('old', '10.65.1.1')))).toEqual([]);
  });

  test('changes by deltas: additions and removals of a batch in one', () => {
    const updates = batch(gone(remote('old', '10.65.1.1')), remote('new', '10.65.1.2'));
    expect(updates).toMatchObject([
      { type: 'ip-set-delta', added: ['10.65.1.2/32'], removed: ['10.65.1.1/32'] },
    ]);
  });

  test('says nothing of an address that moves between objects in one batch', () => {
    const old = remote('old', '10.65.1.1');
    expect(batch(gone(old), remote('new', '10.65.1.1'))).toEqual([]);
  });

  test('holds masked networks of network sets, each once', () => {
    const nets = ['192.0.2.77/24', '192.0.2.0/24', '2001:DB8::1', '0.0.0.0/0'];
    const updates = batch(object('GlobalNetworkSet', 'g', { nets }, { app: 'db' }));
    expect(updates).toMatchObject([
      { added: ['192.0.2.0/24', '2001:db8::1/128', '0.0.0.0/0'], removed: [] },
    ]);
  });

  test('follows labels inherited from a profile', () => {
    const other = pod('other', { node: 'n2', ipNetworks: ['10.65.1.9/32'], profiles: ['pro'] });
    expect(batch(other)).toEqual([]);
    const labels = (app: string): ResourceUpdate =>
      object('Profile', 'pro', { labelsToApply: { app } });
    expect(batch(labels('db'))).toMatchObject([{ added: ['10.65.1.9/32'] }]);
    expect(batch(labels('web'))).toMatchObject([{ removed: ['10.65.1.9/32'] }]);
  });
});

describe('a route', () => {
  const remote = (name: string, node: string, nets: readonly string[] = ['10.65.1.1/32']) =>
    pod(name, { node, ipNetworks: nets });
  const node = (name: string, bgp: object): ResourceUpdate => object('Node', name, { bgp });
  const routesOf = (updates: readonly DesiredUpdate[]): DesiredUpdate[] =>
    updates.filter(({ type }) => type.startsWith('route'));

  test('waits for its node to have an address of the family', () => {
    expect(batch(remote('r', 'n2', ['10.65.1.1/32', 'fd00::1/128']))).toEqual([]);
    expect(routesOf(batch(node('n2', { ipv4Address: '192.0.2.2/24' })))).toEqual([
      { type: 'route', cidr: '10.65.1.1/32', route: { node: 'n2', nextHop: '192.0.2.2' } },
    ]);
    const moved = node('n2', { ipv4Address: '192.0.2.3', ipv6Address: '2001:db8::2/64' });
    expect(routesOf(batch(moved))).toEqual([
      { type: 'route', cidr: '10.65.1.1/32', route: { node: 'n2', nextHop: '192.0.2.3' } },
      { type: 'route', cidr: 'fd00::1/128', route: { node: 'n2', nextHop: '2001:db8::2' } },
    ]);
    expect(types(routesOf(batch(gone(node('n2', {})))))).toEqual(['route-remove', 'route-remove']);
  });

  test('of an address claimed twice follows the first endpoint whose node is usable', () => {
    batch(node('n3', { ipv4Address: '192.0.2.3' }), remote('r1', 'n2'), remote('r2', 'n3'));
    expect(state.routes.get('10.65.1.1/32')?.node).toBe('n3');
    batch(node('n2', { ipv4Address: '192.0.2.2' }));
    expect(state.routes.get('10.65.1.1/32')?.node).toBe('n2');
    batch(gone(remote('r1', 'n2')));
    expect(state.routes.get('10.65.1.1/32')?.node).toBe('n3');
  });

  test('does not exist while a workload of this host holds the address', () => {
    batch(node('n2', { ipv4Address: '192.0.2.2' }), remote('r', 'n2'));
    expect(types(batch(pod('a', { ipNetworks: ['10.65.1.1/32'] })))).toContain('route-remove');
    expect(types(batch(gone(pod('a'))))).toEqual(['route', 'workload-endpoint-remove']);
  });
});
