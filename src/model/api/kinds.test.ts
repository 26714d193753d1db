/** What holds for every kind, and what is filled in (spec/resources.md 7.6, 9, 10). */
import { describe, expect, test } from '@jest/globals';
import type { Resource } from '../update.js';
import type { Mode } from './definition.js';
import { jsonSchema } from './json-schema.js';
import { describeProblem, formatProblems } from './problem.js';
import { allKinds, kindInfo } from './registry.js';
import { validateChange, validateResource } from './validate.js';

type Fields = Record<string, unknown>;

const make = (kind: string, spec: Fields, metadata: Fields = {}): Fields => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: {
    name: SINGLETONS.has(kind) ? 'default' : 'x',
    ...(kindInfo(kind)?.scope === 'namespaced' ? { namespace: 'n' } : {}),
    ...metadata,
  },
  spec,
});
const SINGLETONS = new Set([
  'ClusterInformation',
  'IPAMConfiguration',
  'KubeControllersConfiguration',
]);

function accepted(value: unknown, mode: Mode = 'create'): Resource & { spec: Fields } {
  const result = validateResource(value, { mode });
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.resource as Resource & { spec: Fields };
}

function refusal(value: unknown, mode: Mode = 'create'): string {
  const result = validateResource(value, { mode });
  return result.ok ? 'ok' : result.problems.map(describeProblem).join('\n');
}

const WEP = {
  orchestrator: 'k8s',
  node: 'h-1',
  pod: 'web-0',
  endpoint: 'eth0',
  interfaceName: 'cali1',
};

/** The least that each kind accepts. */
const MINIMAL: Record<string, Fields> = {
  BGPPeer: { peerIP: '192.0.2.1', asNumber: 1 },
  HostEndpoint: { node: 'n', interfaceName: '*' },
  IPPool: { cidr: '10.0.0.0/16' },
  WorkloadEndpoint: WEP,
  BlockAffinity: { cidr: '10.0.0.0/26' },
  CalicoNodeStatus: { node: 'n', classes: ['Agent'], updatePeriodSeconds: 0 },
};
const minimal = (kind: string): Fields =>
  make(kind, MINIMAL[kind] ?? {}, kind === 'WorkloadEndpoint' ? { name: undefined } : {});

describe.each(allKinds)('$kind', ({ kind, scope }) => {
  test('accepts the least, in every mode', () => {
    const created = accepted(minimal(kind));
    expect(accepted(created, 'manifest')).toEqual(created);
    expect(accepted(created, 'stored')).toEqual(created);
    const versions = { resourceVersion: '1', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' };
    const update = { ...created, metadata: { ...created.metadata, ...versions } };
    expect(accepted(update, 'update')).toEqual(update);
  });

  test('refuses unknown fields from users, keeps those of a store', () => {
    const { spec } = minimal(kind);
    const value = {
      ...minimal(kind),
      spec: { ...(spec as Fields), fromTheFuture: { a: [null, ''] } },
    };
    expect(refusal(value)).toContain('field "fromTheFuture" is not recognised');
    const named = accepted(minimal(kind));
    const stored = accepted({ ...value, metadata: named.metadata }, 'stored');
    expect(stored.spec['fromTheFuture']).toEqual({ a: [null, ''] });
  });

  test('its scope decides on a namespace', () => {
    const value = make(kind, MINIMAL[kind] ?? {}, { namespace: 'shop' });
    const bare = make(kind, MINIMAL[kind] ?? {}, { namespace: null });
    const wrong = refusal(scope === 'global' ? value : bare);
    expect(wrong).toMatch(
      scope === 'global' ? /must be absent: \w+ is global/ : /namespace: is req/,
    );
  });

  test('has a JSON schema that refuses unknown fields', () => {
    expect(jsonSchema(kind)).toMatchObject({
      properties: { kind: { const: kind }, spec: { additionalProperties: false } },
    });
  });
});

describe('defaults', () => {
  test.each<[string, string, Fields, Fields]>([
    ['no rules', 'NetworkPolicy', {}, { types: ['Ingress'], tier: 'default' }],
    ['ingress', 'NetworkPolicy', { ingress: [{ action: 'Allow' }] }, { types: ['Ingress'] }],
    ['egress', 'NetworkPolicy', { egress: [{ action: 'Allow' }] }, { types: ['Egress'] }],
    [
      'both',
      'GlobalNetworkPolicy',
      { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] },
      { types: ['Ingress', 'Egress'] },
    ],
    ['types as given', 'NetworkPolicy', { types: ['Egress'] }, { types: ['Egress'] }],
    ['empty lists are none', 'NetworkPolicy', { types: [], egress: [] }, { types: ['Ingress'] }],
    ['a tier', 'Tier', {}, { order: 1_000_000, defaultAction: 'Deny' }],
    [
      'an IPv4 pool',
      'IPPool',
      { cidr: '10.0.0.0/16', blockSize: 0 },
      {
        ipipMode: 'Never',
        vxlanMode: 'Never',
        blockSize: 26,
        nodeSelector: 'all()',
        allowedUses: ['Workload', 'Tunnel'],
        assignmentMode: 'Automatic',
      },
    ],
    ['an IPv6 pool', 'IPPool', { cidr: 'fd00::/64' }, { blockSize: 122 }],
    ['IPAM', 'IPAMConfiguration', {}, { strictAffinity: false, autoAllocateBlocks: true }],
    [
      'an affinity',
      'BlockAffinity',
      { cidr: '10.0.0.0/26' },
      { state: '', node: '', deleted: false },
    ],
    ['controllers', 'KubeControllersConfiguration', {}, { controllers: {} }],
    ['a staged policy', 'StagedNetworkPolicy', {}, { stagedAction: 'Set', types: ['Ingress'] }],
    ['a staged deletion', 'StagedNetworkPolicy', { stagedAction: 'Delete' }, { tier: 'default' }],
    [
      'durations',
      'FelixConfiguration',
      { reportingInterval: '90s' },
      { reportingInterval: '1m30s' },
    ],
    [
      'no failsafe ports',
      'FelixConfiguration',
      { failsafeInboundHostPorts: [] },
      {
        failsafeInboundHostPorts: [],
      },
    ],
  ])('%s', (_title, kind, spec, wanted) => {
    expect(accepted(make(kind, spec)).spec).toMatchObject(wanted);
  });

  test('of the agents are only filled in on the configuration "default"', () => {
    expect(accepted(make('FelixConfiguration', {})).spec).toEqual({});
    const old = { bpfConnectTimeLoadBalancingEnabled: true };
    expect(accepted(make('FelixConfiguration', old, { name: 'default' })).spec).toEqual({
      ...old,
      floatingIPs: 'Disabled',
      nftablesMode: 'Auto',
      nftablesFlowTableOffload: 'Disabled',
      bpfConnectTimeLoadBalancing: 'Enabled',
      bpfHostNetworkedNATWithoutCTLB: 'Disabled',
    });
  });

  test('labels that a workload cannot choose', () => {
    const labels = { a: 'b', 'projectcalico.org/namespace': 'other' };
    const spec = { ...WEP, serviceAccountName: 'sa' };
    const { metadata } = accepted(make('WorkloadEndpoint', spec, { name: null, labels }));
    expect(metadata).toEqual({
      name: 'h--1-k8s-web--0-eth0',
      namespace: 'n',
      labels: {
        a: 'b',
        'projectcalico.org/namespace': 'n',
        'projectcalico.org/orchestrator': 'k8s',
        'projectcalico.org/serviceaccount': 'sa',
      },
    });
  });

  test('the label of the tier', () => {
    const { metadata } = accepted(make('NetworkPolicy', { tier: 'sec' }));
    expect(metadata.labels).toEqual({ 'projectcalico.org/tier': 'sec' });
  });
});

describe('a stored object', () => {
  test.each<[string, Fields]>([
    [
      'a bare address and host bits in rules',
      { ingress: [{ action: 'Allow', source: { nets: ['10.0.0.1', '10.0.0.1/8'] } }] },
    ],
    [
      'numeric ports without protocol',
      { ingress: [{ action: 'Allow', destination: { ports: [80] } }] },
    ],
    ['doNotTrack without applyOnForward', { doNotTrack: true }],
    ['doNotTrack and preDNAT', { doNotTrack: true, preDNAT: true }],
  ])('may have %s', (_title, spec) => {
    expect(accepted(make('GlobalNetworkPolicy', spec), 'stored').spec).toMatchObject(spec);
  });

  test('with an action nobody knows is invalid', () => {
    const spec = { ingress: [{ action: 'Maybe' }] };
    expect(refusal(make('GlobalNetworkPolicy', spec), 'stored')).toMatch(/not one of/);
  });

  test('of API v1 has its pool fields converted', () => {
    const spec = {
      cidr: '10.0.0.0/16',
      ipip: { enabled: true, mode: 'cross-subnet' },
      'nat-outgoing': true,
    };
    const pool = accepted(make('IPPool', spec), 'stored').spec;
    expect(pool).toMatchObject({ ipipMode: 'CrossSubnet', natOutgoing: true });
    expect(pool).not.toHaveProperty('ipip');
  });

  test('may have another name than users can give', () => {
    expect(
      accepted(make('GlobalNetworkPolicy', {}, { name: 'default.a.b' }), 'stored'),
    ).toBeDefined();
  });
});

describe('changing a pool', () => {
  const pool = (spec: Fields): Resource =>
    accepted(make('IPPool', { cidr: '10.0.0.0/16', ...spec }));
  test.each<[string, Fields, string[]]>([
    ['its name for the same range', { cidr: '10.0.0.0/16', natOutgoing: true }, []],
    [
      'its range',
      { cidr: '10.1.0.0/16' },
      ['spec.cidr: "10.1.0.0/16" cannot be modified: it is 10.0.0.0/16'],
    ],
    ['its blocks', { blockSize: 28 }, ['spec.blockSize: 28 cannot be modified: it is 26']],
    [
      'its use',
      { allowedUses: ['LoadBalancer'] },
      ['spec.allowedUses: cannot gain or lose LoadBalancer'],
    ],
  ])('%s', (_title, spec, wanted) => {
    expect(validateChange(pool({}), pool(spec)).map(describeProblem)).toEqual(wanted);
  });
});
