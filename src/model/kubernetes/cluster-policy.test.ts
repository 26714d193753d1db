import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { validateResource } from '../api/validate.js';
import type { Resource } from '../update.js';
import {
  convertAdminNetworkPolicy,
  convertBaselineAdminNetworkPolicy,
} from './admin-network-policy.js';
import { convertClusterNetworkPolicy } from './cluster-network-policy.js';
import type { Converted } from './converted.js';

const POD = "projectcalico.org/orchestrator == 'k8s'";
const NAMESPACED = 'has(projectcalico.org/namespace)';
const EVERYWHERE = { selector: NAMESPACED, namespaceSelector: 'all()' };

/** Converted, and valid; warnings are asked for by themselves. */
function valid({ resource }: Converted): Resource {
  if (resource === null) throw new Error('nothing was converted');
  const result = validateResource(resource, { mode: 'stored' });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return resource;
}

const cluster = (spec: object): Converted =>
  convertClusterNetworkPolicy({
    metadata: { name: 'p' },
    spec: { tier: 'Admin', priority: 5, subject: { namespaces: {} }, ...spec },
  });
const rulesOf = (direction: 'ingress' | 'egress', rule: object): unknown => {
  const converted = cluster({ [direction]: [rule] });
  expect(converted.warnings).toEqual([]);
  return (valid(converted).spec as Record<string, unknown>)[direction];
};
const DENY_ALL_NAMESPACES = { action: 'Deny', from: [{ namespaces: {} }] };

describe('ClusterNetworkPolicy (spec/policy.md 15.4, 17.14)', () => {
  test('R14: a malformed Accept is left out, and its direction is not governed', () => {
    const converted = cluster({
      ingress: [DENY_ALL_NAMESPACES],
      egress: [{ action: 'Accept', to: [{ domainNames: ['*.example.org'] }] }],
    });
    expect(valid(converted)).toMatchObject({
      kind: 'GlobalNetworkPolicy',
      metadata: { name: 'kcnp.kube-admin.p' },
    });
    expect(converted.resource?.spec).toEqual({
      tier: 'kube-admin',
      order: 5,
      selector: POD,
      namespaceSelector: 'all()',
      types: ['Ingress'],
      ingress: [{ action: 'Deny', source: EVERYWHERE }],
    });
    expect(converted.warnings).toEqual([
      expect.stringMatching(/^spec.egress\[0\] is left out: .*domainNames/),
    ]);
  });

  test('R15: a malformed Deny denies everything', () => {
    const converted = cluster({
      ingress: [DENY_ALL_NAMESPACES],
      egress: [{ action: 'Deny', to: [{ nodes: {} }] }],
    });
    expect(valid(converted).spec).toMatchObject({
      types: ['Ingress', 'Egress'],
      egress: [{ action: 'Deny' }],
    });
    expect(converted.warnings).toEqual([
      expect.stringMatching(/^spec.egress\[0\] denies everything: /),
    ]);
  });

  test('a malformed Pass denies everything at its place, between the others', () => {
    const { resource } = cluster({
      egress: [
        { action: 'Accept', to: [{ networks: ['10.0.0.0/8'] }] },
        { action: 'Pass', to: [{ networks: ['10.0.0.0/40'] }] },
        { action: 'Accept', to: [{ networks: ['192.0.2.0/24'] }] },
      ],
    });
    expect(resource?.spec).toMatchObject({
      egress: [
        { action: 'Allow', destination: { nets: ['10.0.0.0/8'] } },
        { action: 'Deny' },
        { action: 'Allow', destination: { nets: ['192.0.2.0/24'] } },
      ],
    });
  });

  test.each([
    ['of no action', { from: [{ namespaces: {} }] }],
    ['of an unknown action', { action: 'Reject', from: [{ namespaces: {} }] }],
    ['without peers', { action: 'Deny' }],
    ['of an empty list of peers', { action: 'Deny', from: [] }],
    ['with a peer of no kind', { action: 'Deny', from: [{}] }],
    ['with a peer of two kinds', { action: 'Deny', from: [{ namespaces: {}, pods: {} }] }],
    ['with networks as ingress peer', { action: 'Deny', from: [{ networks: ['10.0.0.0/8'] }] }],
    ['of an unknown protocol', { ...DENY_ALL_NAMESPACES, protocols: [{ quic: {} }] }],
    [
      'of a range that ends before it starts',
      {
        ...DENY_ALL_NAMESPACES,
        protocols: [{ tcp: { destinationPort: { range: { start: 9, end: 8 } } } }],
      },
    ],
    [
      'of a port that is neither number nor range',
      { ...DENY_ALL_NAMESPACES, protocols: [{ tcp: { destinationPort: {} } }] },
    ],
    ['that is no object', 'deny'],
  ])('a rule %s denies everything', (_name, rule) => {
    const converted = cluster({ ingress: [rule] });
    expect(valid(converted).spec).toMatchObject({ ingress: [{ action: 'Deny' }] });
    expect(converted.warnings).toHaveLength(1);
  });

  test.each([
    ['Admin', 'kube-admin'],
    ['Baseline', 'kube-baseline'],
  ])('tier %s is %s', (tier, ours) => {
    const { metadata, spec } = valid(cluster({ tier, ingress: [DENY_ALL_NAMESPACES] }));
    expect([metadata.name, spec]).toEqual([
      `kcnp.${ours}.p`,
      expect.objectContaining({ tier: ours }),
    ]);
  });

  test.each([
    ['another tier', { tier: 'NetworkPolicy' }],
    ['no subject', { subject: undefined }],
    ['a subject of nothing', { subject: {} }],
    ['a subject of both', { subject: { namespaces: {}, pods: {} } }],
    ['a priority out of range', { priority: 1001 }],
    ['no priority', { priority: undefined }],
  ])('%s: no policy, with a warning', (_name, change) => {
    const { resource, warnings } = cluster({ ingress: [DENY_ALL_NAMESPACES], ...change });
    expect([resource, warnings.length]).toEqual([null, 1]);
  });

  test('no rules: nothing to enforce', () => {
    expect(cluster({})).toEqual({ resource: null, warnings: [] });
  });

  test('a subject of pods', () => {
    const pods = {
      namespaceSelector: { matchLabels: { team: 'a' } },
      podSelector: { matchLabels: { app: 'db' } },
    };
    const converted = cluster({ subject: { pods }, ingress: [DENY_ALL_NAMESPACES] });
    expect(valid(converted).spec).toMatchObject({
      selector: `${POD} && app == 'db'`,
      namespaceSelector: "team == 'a'",
    });
  });

  test.each([
    [
      'negative terms stay within namespaces (decision 17)',
      { namespaces: { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['a'] }] } },
      [{ selector: NAMESPACED, namespaceSelector: "team not in { 'a' }" }],
    ],
    [
      'pods',
      { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'db' } } } },
      [{ selector: `${POD} && app == 'db'`, namespaceSelector: 'all()' }],
    ],
    [
      'networks of both families, masked',
      { networks: ['10.1.2.3/8', 'fd00::1/64', '192.0.2.0/24'] },
      [{ nets: ['10.0.0.0/8', '192.0.2.0/24'] }, { nets: ['fd00::/64'] }],
    ],
  ])('an egress peer: %s', (_name, peer, sides) => {
    expect(rulesOf('egress', { action: 'Accept', to: [peer] })).toEqual(
      sides.map((destination) => ({ action: 'Allow', destination })),
    );
  });

  test.each([
    ['none: everything', [], [{}]],
    [
      'numbers, a range, and all ports of another protocol',
      [
        { tcp: { destinationPort: { number: 80 } } },
        { udp: { destinationPort: { number: 53 } } },
        { tcp: { destinationPort: { range: { start: 8000, end: 8080 } } } },
        { udp: {} },
      ],
      [{ protocol: 'TCP', destination: { ports: [80, '8000:8080'] } }, { protocol: 'UDP' }],
    ],
    ['SCTP', [{ sctp: {} }], [{ protocol: 'SCTP' }]],
    [
      'a named port has no protocol',
      [{ destinationNamedPort: 'web' }],
      [{ destination: { ports: ['web'] } }],
    ],
  ])('protocols, %s', (_name, protocols, matches) => {
    const rule = { action: 'Pass', from: [{ namespaces: {} }], protocols };
    expect(rulesOf('ingress', rule)).toEqual(
      matches.map((match) => ({ action: 'Pass', source: EVERYWHERE, ...match })),
    );
  });

  test('a rule keeps its name as an annotation', () => {
    expect(rulesOf('ingress', { ...DENY_ALL_NAMESPACES, name: 'none' })).toMatchObject([
      { metadata: { annotations: { 'policy.networking.k8s.io/rule-name': 'none' } } },
    ]);
  });
});

describe('AdminNetworkPolicy, BaselineAdminNetworkPolicy (spec/policy.md 15.4)', () => {
  const SPEC = {
    subject: { namespaces: {} },
    ingress: [
      {
        action: 'Allow',
        from: [{ namespaces: {} }],
        ports: [
          { portNumber: { port: 80 } },
          { portRange: { protocol: 'UDP', start: 53, end: 54 } },
          { namedPort: 'web' },
        ],
      },
    ],
    egress: [{ action: 'Pass', to: [{ nodes: {} }] }],
  };
  const RULES = {
    types: ['Ingress', 'Egress'],
    ingress: [
      { action: 'Allow', protocol: 'TCP', source: EVERYWHERE, destination: { ports: [80] } },
      { action: 'Allow', protocol: 'UDP', source: EVERYWHERE, destination: { ports: ['53:54'] } },
      { action: 'Allow', source: EVERYWHERE, destination: { ports: ['web'] } },
    ],
    egress: [{ action: 'Deny' }],
  };

  test('an AdminNetworkPolicy has its own tier and its priority', () => {
    const metadata = { name: 'p', uid: 'u' };
    const converted = convertAdminNetworkPolicy({ metadata, spec: { ...SPEC, priority: 7 } });
    expect(valid(converted)).toMatchObject({
      metadata: { name: 'kanp.adminnetworkpolicy.p', uid: 'u' },
      spec: { tier: 'adminnetworkpolicy', order: 7, selector: POD, ...RULES },
    });
  });

  test('the BaselineAdminNetworkPolicy comes after the default tier', () => {
    const converted = convertBaselineAdminNetworkPolicy({
      metadata: { name: 'default' },
      spec: SPEC,
    });
    expect(valid(converted)).toMatchObject({
      metadata: { name: 'kbanp.baselineadminnetworkpolicy.default' },
      spec: { tier: 'baselineadminnetworkpolicy', order: 1000, ...RULES },
    });
  });

  test('there is only one BaselineAdminNetworkPolicy', () => {
    const { resource, warnings } = convertBaselineAdminNetworkPolicy({
      metadata: { name: 'other' },
      spec: SPEC,
    });
    expect([resource, warnings]).toEqual([null, ['metadata.name must be default, found other']]);
  });
});

test('whatever the input, nothing is thrown, and what comes out is valid', () => {
  const rule = fc.oneof(
    fc.jsonValue(),
    fc.record({
      action: fc.constantFrom('Accept', 'Allow', 'Deny', 'Pass', 'Reject'),
      from: fc.array(fc.oneof(fc.jsonValue(), fc.constant({ namespaces: {} }))),
      protocols: fc.oneof(fc.jsonValue(), fc.constant([{ tcp: {} }])),
    }),
  );
  fc.assert(
    fc.property(fc.array(rule), fc.jsonValue(), (ingress, egress) => {
      const metadata = { name: 'default' };
      const base = { tier: 'Admin', priority: 5, subject: { namespaces: {} } };
      for (const spec of [{ ...base, ingress, egress }, egress, { ...base, subject: egress }]) {
        for (const convert of [
          convertClusterNetworkPolicy,
          convertAdminNetworkPolicy,
          convertBaselineAdminNetworkPolicy,
        ]) {
          const converted = convert({ metadata, spec });
          if (converted.resource !== null) valid(converted);
        }
      }
    }),
    { numRuns: 500 },
  );
});
