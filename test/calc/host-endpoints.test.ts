/** What is said of host endpoints, update by update (spec/policy.md 2.3, 4.3, 5.5, 13.1, 15.3). */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { CalcGraph } from '../../src/calc/graph.js';
import type { DesiredUpdate, EndpointId } from '../../src/model/desired.js';
import type { Resource, ResourceUpdate } from '../../src/model/update.js';
import { DesiredState } from '../support/desired-evaluator.js';
import { gone } from '../support/world-resources.js';

let graph: CalcGraph;
let state: DesiredState;
let said: DesiredUpdate[];

beforeEach(() => {
  state = new DesiredState();
  graph = new CalcGraph({
    hostname: 'n1',
    onUpdate: (update) => {
      said.push(update);
      state.onUpdate(update);
    },
  });
});

type Labels = Readonly<Record<string, string>>;

function object(kind: string, name: string, spec: object, labels: Labels = {}): ResourceUpdate {
  const metadata = { name, labels };
  const value: Resource = { apiVersion: 'projectcalico.org/v3', kind, metadata, spec };
  return { key: { kind, name }, value, revision: '1' };
}

const hep = (name: string, spec: object = {}, labels: Labels = { hep: 'a' }): ResourceUpdate =>
  object('HostEndpoint', name, { node: 'n1', interfaceName: 'eth0', ...spec }, labels);
const gnp = (name: string, spec: object): ResourceUpdate =>
  object('GlobalNetworkPolicy', name, { selector: 'has(hep)', ...spec });

const ALLOW = { action: 'Allow' };
const both = { ingress: [ALLOW], egress: [ALLOW] };
const idOf = (name: string): string => `GlobalNetworkPolicy/${name}`;

/** Feeds one batch; answers with the types of what was said of it. */
function batch(...updates: readonly ResourceUpdate[]): string[] {
  graph.onInSync();
  said = [];
  for (const one of updates) graph.onResource(one);
  graph.flush();
  return said.map(({ type }) => type).filter((type) => type !== 'in-sync');
}

const endpoint = (name: string) => state.hostEndpoints.get(name as EndpointId);

/** Names of tiers, with the names of their policies, by stage. */
function tiersOf(name: string): object {
  const tiers = Object.entries(endpoint(name)?.tiers ?? {}).map(([stage, list]) => [
    stage,
    list.map(({ name: tier, defaultAction, ingress, egress }) =>
      [tier, defaultAction, ...ingress, '|', ...egress].join(' ').replaceAll(idOf(''), ''),
    ),
  ]);
  return Object.fromEntries(tiers);
}

const NONE = { untracked: [], preDnat: [], normal: [], forward: [] };

describe('a host endpoint of this host', () => {
  test('is said with what it is found by, its profiles, and canonical addresses', () => {
    const spec = { expectedIPs: ['10.0.0.1', 'FD00:0::1', '10.0.0.1'], profiles: ['late', 'open'] };
    expect(batch(hep('h', spec), object('Profile', 'open', both))).toEqual([
      'profile',
      'host-endpoint',
    ]);
    expect(endpoint('h')).toEqual({
      interfaceName: 'eth0',
      expectedIPs: ['10.0.0.1', 'fd00::1'],
      tiers: NONE,
      profiles: ['late', 'open'],
    });
  });

  test.each([
    ['', undefined],
    ['*', '*'],
  ])('is found by %j', (wanted, interfaceName) => {
    batch(object('HostEndpoint', 'h', { node: 'n1', expectedIPs: ['10.0.0.1'], interfaceName }));
    expect(endpoint('h')?.interfaceName).toBe(wanted);
  });

  test('of another host is not said, nor what selects it', () => {
    expect(batch(hep('h', { node: 'n2', profiles: ['open'] }), gnp('p', both))).toEqual([]);
  });

  test('that moves here comes, and goes when it moves away', () => {
    batch(hep('h', { node: 'n2' }), gnp('p', both));
    expect(batch(hep('h'))).toEqual(['policy', 'host-endpoint']);
    expect(batch(hep('h', { node: 'n2' }))).toEqual(['host-endpoint-remove', 'policy-remove']);
  });

  test('said again unchanged, or deleted and created again, says nothing', () => {
    batch(hep('h'), gnp('p', both));
    expect(batch(hep('h'), gone(hep('h')), hep('h'))).toEqual([]);
  });

  test('comes after all that it refers to, and goes before', () => {
    const rule = { ...ALLOW, source: { selector: 'has(x)' } };
    const updates = [
      hep('h', { profiles: ['open'] }),
      gnp('p', { ingress: [rule] }),
      object('Profile', 'open', both),
    ];
    expect(batch(...updates)).toEqual(['ip-set', 'policy', 'profile', 'host-endpoint']);
    expect(batch(...updates.map(gone))).toEqual([
      'host-endpoint-remove',
      'profile-remove',
      'policy-remove',
      'ip-set-remove',
    ]);
  });

  test('is selected by labels that it inherits from a profile', () => {
    batch(hep('h', { profiles: ['pro'] }, {}), gnp('p', both));
    expect(tiersOf('h')).toEqual(NONE);
    batch(object('Profile', 'pro', { labelsToApply: { hep: 'b' } }));
    expect(tiersOf('h')).toMatchObject({ normal: ['default deny p | p'] });
  });

  test('is not selected by a NetworkPolicy, even if it carries the label of a namespace', () => {
    const policy = gnp('x', both);
    const { kind: _, ...rest } = { ...policy.key, namespace: 'blue' };
    const networkPolicy = { ...policy, key: { kind: 'NetworkPolicy', ...rest } };
    const labels = { hep: 'a', 'projectcalico.org/namespace': 'blue' };
    expect(batch(hep('h', {}, labels), networkPolicy)).toEqual(['host-endpoint']);
    expect(tiersOf('h')).toEqual(NONE);
  });
});

describe('the stage of a policy', () => {
  test.each([
    ['plain', {}, { normal: ['default deny p | p'] }],
    [
      'applyOnForward',
      { applyOnForward: true },
      { normal: ['default deny p | p'], forward: ['default deny p | p'] },
    ],
    ['preDNAT', { preDNAT: true, applyOnForward: true }, { preDnat: ['default pass p |'] }],
    ['preDNAT stored without applyOnForward', { preDNAT: true }, { preDnat: ['default pass p |'] }],
    ['preDNAT of egress alone', { preDNAT: true, types: ['Egress'] }, {}],
    [
      'doNotTrack',
      { doNotTrack: true, applyOnForward: true },
      { untracked: ['default pass p | p'] },
    ],
    [
      'doNotTrack stored with preDNAT',
      { doNotTrack: true, preDNAT: true },
      { untracked: ['default pass p | p'] },
    ],
  ])('%s', (_about, flags, expected) => {
    batch(hep('h'), gnp('p', { ...both, ...flags }));
    expect(tiersOf('h')).toEqual({ ...NONE, ...expected });
  });

  test('changes with the policy, which stays', () => {
    batch(hep('h'), gnp('p', both));
    expect(batch(gnp('p', { ...both, doNotTrack: true }))).toEqual(['host-endpoint']);
    expect(tiersOf('h')).toEqual({ ...NONE, untracked: ['default pass p | p'] });
  });

  test('untracked does not exist for a wildcard', () => {
    batch(hep('h', { interfaceName: '*' }), gnp('p', { ...both, doNotTrack: true }));
    expect(tiersOf('h')).toEqual(NONE);
  });

  test('takes tiers in their order, each with its own default but where the end passes', () => {
    batch(
      hep('h'),
      object('Tier', 'late', { order: 2e6, defaultAction: 'Pass' }),
      object('Tier', 'sec', { order: 1, defaultAction: 'Deny' }),
      gnp('a', { ...both, tier: 'late', applyOnForward: true }),
      gnp('b', { ...both, tier: 'sec', order: 2, applyOnForward: true }),
      gnp('c', { ingress: [ALLOW], tier: 'sec', order: 1, applyOnForward: true }),
      gnp('d', { ...both, tier: 'sec', preDNAT: true }),
    );
    const expected = ['sec deny c b | b', 'late pass a | a'];
    expect(tiersOf('h')).toEqual({
      ...NONE,
      normal: expected,
      forward: expected,
      preDnat: ['sec pass d |'],
    });
    batch(object('Tier', 'sec', { order: 3e6, defaultAction: 'Pass' }));
    const swapped = ['late pass a | a', 'sec pass c b | b'];
    expect(tiersOf('h')).toMatchObject({ normal: swapped, forward: swapped });
  });
});

describe('a policy that selects hosts and workloads', () => {
  const workload: ResourceUpdate = {
    key: { kind: 'WorkloadEndpoint', namespace: 'blue', name: 'w' },
    value: {
      apiVersion: 'projectcalico.org/v3',
      kind: 'WorkloadEndpoint',
      metadata: { name: 'w', namespace: 'blue', labels: { hep: 'no' } },
      spec: { node: 'n1', interfaceName: 'cali1', ipNetworks: ['10.65.0.2/32'] },
    },
    revision: '1',
  };

  test('is said once, and stays until the last of both goes', () => {
    expect(batch(hep('h'), workload, gnp('p', both))).toEqual([
      'policy',
      'workload-endpoint',
      'host-endpoint',
    ]);
    expect(batch(gone(workload))).toEqual(['workload-endpoint-remove']);
    expect(batch(gone(hep('h')))).toEqual(['host-endpoint-remove', 'policy-remove']);
  });

  test('leaves the workload when it becomes untracked, and comes back', () => {
    batch(hep('h'), workload, gnp('p', both));
    expect(batch(gnp('p', { ...both, doNotTrack: true }))).toEqual([
      'workload-endpoint',
      'host-endpoint',
    ]);
    expect(state.endpoints.get('blue/w')?.tiers).toEqual([]);
    batch(gnp('p', both));
    expect(state.endpoints.get('blue/w')?.tiers).toHaveLength(1);
  });

  test('counts in the statistics', () => {
    batch(hep('h'), workload, gnp('p', both));
    expect(graph.stats()).toMatchObject({ endpoints: 1, hostEndpoints: 1, policies: 1 });
  });
});
