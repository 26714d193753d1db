/** Objects that cannot be read are as absent, and named; nothing else suffers (spec/policy.md 13.4). */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { CalcGraph } from '../../src/calc/graph.js';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { formatKey, type Resource, type ResourceUpdate } from '../../src/model/update.js';
import { DesiredState } from '../support/desired-evaluator.js';
import { gone } from '../support/world-resources.js';

let graph: CalcGraph;
let state: DesiredState;
let said: DesiredUpdate[] = [];

beforeEach(() => {
  state = new DesiredState();
  graph = new CalcGraph({
    hostname: 'n1',
    onUpdate: (update) => {
      said.push(update);
      state.onUpdate(update);
    },
  });
  graph.onInSync();
});

function object(path: string, spec: unknown): ResourceUpdate {
  const [kind = '', first = '', second] = path.split('/');
  const key =
    second === undefined ? { kind, name: first } : { kind, namespace: first, name: second };
  const { kind: _, ...place } = key;
  const metadata = { ...place, labels: { app: 'a' } };
  const value: Resource = { apiVersion: 'projectcalico.org/v3', kind, metadata, spec };
  return { key, value, revision: '1' };
}

function batch(...updates: readonly ResourceUpdate[]): void {
  said = [];
  for (const one of updates) graph.onResource(one);
  graph.flush();
}

const ALLOW = { action: 'Allow' };
const POD = {
  node: 'n1',
  interfaceName: 'cali1',
  ipNetworks: ['10.65.0.2/32'],
  profiles: ['open'],
};
const from = (source: object): object => ({ ingress: [{ ...ALLOW, source }] });

/** Of each kind something that can be read, and ways in which it cannot. */
const KINDS: Readonly<
  Record<string, { readonly valid: object; readonly invalid: Readonly<Record<string, object>> }>
> = {
  'GlobalNetworkPolicy/p': {
    valid: { selector: 'has(app)', ...from({ selector: 'has(app)' }) },
    invalid: {
      'its selector': { selector: 'app =' },
      'its namespace selector': { namespaceSelector: '((' },
      'its service account selector': { serviceAccountSelector: '&&' },
      'a selector of a rule': from({ selector: 'app == ' }),
      'a negated selector of a rule': from({ notSelector: 'not' }),
      'a namespace selector of a rule': from({ namespaceSelector: 'a in b' }),
      'a service account selector of a rule': from({ serviceAccounts: { selector: '"' } }),
      'a network': from({ nets: ['10.0.0.0/33'] }),
      'a negated network': from({ notNets: ['fd00::/129'] }),
      'the protocol': { ingress: [{ ...ALLOW, protocol: 'TPC' }] },
      'the action': { ingress: [{ action: 'Alow' }] },
      'a rule that is inert': { types: ['Ingress'], egress: [{ action: 'No' }] },
      'a port range': { ingress: [{ ...ALLOW, protocol: 'TCP', destination: { ports: ['9:8'] } }] },
      'a port': { ingress: [{ ...ALLOW, protocol: 'TCP', source: { ports: [70_000] } }] },
      'rules that are no list': { ingress: 'all' },
      'a rule that is nothing': { ingress: [null] },
      'the order': { order: 'first' },
    },
  },
  'NetworkPolicy/blue/p': {
    valid: { selector: 'has(app)' },
    invalid: { 'its selector': { selector: 'app @ b' } },
  },
  'Profile/open': {
    valid: { ingress: [ALLOW], labelsToApply: { zone: 'x' } },
    invalid: { 'a rule': { labelsToApply: { zone: 'y' }, ...from({ selector: '!' }) } },
  },
  'Tier/sec': { valid: { order: 5 }, invalid: { 'the order': { order: 'high' } } },
  'WorkloadEndpoint/blue/w': {
    valid: POD,
    invalid: {
      'an address': { ...POD, ipNetworks: ['10.65.0/32'] },
      "a port's protocol": { ...POD, ports: [{ name: 'web', protocol: '?', port: 80 }] },
    },
  },
  'HostEndpoint/h': {
    valid: { node: 'n1', interfaceName: 'eth0', expectedIPs: ['10.0.0.1'] },
    invalid: { 'an address': { node: 'n1', interfaceName: 'eth0', expectedIPs: ['eth0'] } },
  },
  'GlobalNetworkSet/g': {
    valid: { nets: ['192.0.2.0/24'] },
    invalid: { 'a network': { nets: ['192.0.2.0/24', '192.0.2.0/40'] } },
  },
  'NetworkSet/blue/g': { valid: { nets: [] }, invalid: { 'a network': { nets: ['x'] } } },
  'Node/n2': {
    valid: { bgp: { ipv4Address: '192.0.2.2/24' } },
    invalid: { 'an address': { bgp: { ipv4Address: '192.0.2.2/24', ipv6Address: '::g' } } },
  },
};

/** What the others are judged by: each kind above changes something of it. */
const SURROUNDINGS: readonly ResourceUpdate[] = [
  object('WorkloadEndpoint/blue/other', {
    ...POD,
    interfaceName: 'cali2',
    ipNetworks: ['10.65.0.3/32'],
  }),
  object('WorkloadEndpoint/blue/remote', { ...POD, node: 'n2', ipNetworks: ['10.65.1.3/32'] }),
  object('HostEndpoint/other', { node: 'n1', interfaceName: 'eth1', profiles: ['open'] }),
  object('GlobalNetworkPolicy/all', {
    tier: 'sec',
    ...from({ selector: 'has(app) || zone == "y"' }),
  }),
];

const CASES = Object.entries(KINDS).flatMap(([path, { valid, invalid }]) =>
  Object.entries(invalid).map(([what, spec]) => ({ path, what, valid, spec })),
);

describe('an object that cannot be read', () => {
  test.each(CASES)('$path, for $what, is as absent and named', ({ path, valid, spec }) => {
    const bad = object(path, spec);
    const good = object(path, valid);
    const name = formatKey(bad.key);
    batch(...SURROUNDINGS);
    const absent = state.snapshot();
    batch(bad);
    expect(said).toEqual([]);
    expect(Object.keys(graph.stats().invalid)).toEqual([name]);
    expect(graph.stats().invalid[name]).not.toBe('');
    batch(good);
    expect(graph.stats().invalid).toEqual({});
    const present = state.snapshot();
    batch(bad);
    expect(state.snapshot()).toEqual(absent);
    batch(good);
    expect(state.snapshot()).toEqual(present);
    batch(bad, gone(bad), ...SURROUNDINGS.map(gone));
    expect(Object.values(graph.stats().sizes).filter((size) => size !== 0)).toEqual([]);
    expect(graph.stats().invalid).toEqual({});
  });

  test('does not keep others of its batch from being calculated', () => {
    const bad = CASES.map(({ path, spec }, i) => object(`${path}${i}`, spec));
    batch(...SURROUNDINGS);
    const absent = state.snapshot();
    graph = new CalcGraph({ hostname: 'n1', onUpdate: (update) => state.onUpdate(update) });
    state = new DesiredState();
    for (const [i, one] of bad.entries()) {
      graph.onResource(one);
      const neighbour = SURROUNDINGS[i % SURROUNDINGS.length];
      if (neighbour !== undefined) graph.onResource(neighbour);
    }
    graph.onInSync();
    graph.flush();
    expect(state.snapshot()).toEqual(absent);
    expect(Object.keys(graph.stats().invalid)).toHaveLength(bad.length);
  });

  test.each(['GlobalNetworkPolicy', 'NetworkPolicy'])('of kind %s says why', (kind) => {
    batch(object(kind === 'NetworkPolicy' ? `${kind}/blue/p` : `${kind}/p`, from({ nets: ['x'] })));
    const [[name, reason] = []] = Object.entries(graph.stats().invalid);
    expect(name).toContain(kind);
    expect(reason).toBe("'x' is neither an address nor a network");
  });

  test('of a kind that nobody hears of is not looked at', () => {
    batch(object('StagedGlobalNetworkPolicy/s', { selector: '((' }), object('BGPPeer/p', 7));
    expect(graph.stats().invalid).toEqual({});
  });
});

test('that an invalid profile denies at its place follows from its absence', () => {
  batch(
    object('Profile/open', { ingress: [{ action: '?' }] }),
    object('WorkloadEndpoint/blue/w', { ...POD, profiles: ['open'] }),
  );
  expect(state.endpoints.get('blue/w')?.profiles).toEqual(['open']);
  expect(state.profiles.size).toBe(0);
});
