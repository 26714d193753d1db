/**
 * ClusterNetworkPolicies through conversion and calculation; the reference reads the policies that spec/policy.md 15.4
 * and 17.14 say they become, written down here by hand.
 */
import { describe, expect, test } from '@jest/globals';
import { convertClusterNetworkPolicy } from '../../src/model/kubernetes/cluster-network-policy.js';
import type { ResourceUpdate } from '../../src/model/update.js';
import { CalcHosts } from '../support/calc-hosts.js';
import { baseWorld } from '../support/policy-scene.js';
import type { WorldPacket, WorldPolicy, WorldRule } from '../support/policy-world.js';
import { referenceVerdict } from '../support/reference-evaluator.js';
import { resourcesOf } from '../support/world-resources.js';

const OUTSIDE = '203.0.113.9';
const ENDS = ['web', 'db', 'web2', 'cli', 'job', OUTSIDE] as const;
const PACKETS: readonly WorldPacket[] = ENDS.flatMap((from) =>
  ENDS.filter((to) => to !== from && (from !== OUTSIDE || to !== OUTSIDE)).flatMap((to) =>
    [80, 5432].map((dport) => ({ from, to, dport })),
  ),
);

function clusterPolicy(spec: object): ResourceUpdate {
  const { resource } = convertClusterNetworkPolicy({ metadata: { name: 'p' }, spec });
  if (resource === null) throw new Error('nothing was converted');
  const key = { kind: resource.kind, name: resource.metadata.name };
  return { key, value: resource, revision: '1' };
}

const SUBJECT = { subject: { namespaces: {} }, priority: 5 };
const FROM_NAMESPACES = {
  source: { selector: 'has(projectcalico.org/namespace)', namespaceSelector: 'all()' },
};
const DENY_NAMESPACES: WorldRule = { action: 'Deny', ...FROM_NAMESPACES };

const becomes = (spec: Partial<WorldPolicy>): WorldPolicy => ({
  kind: 'GNP',
  name: 'kcnp.kube-admin.p',
  tier: 'kube-admin',
  order: 5,
  selector: "projectcalico.org/orchestrator == 'k8s'",
  namespaceSelector: 'all()',
  ...spec,
});

const BLUE_OPEN: WorldPolicy = {
  ...{ kind: 'KNP', ns: 'blue', name: 'open' },
  spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] },
};

interface Case {
  readonly about: string;
  readonly spec: object;
  readonly policy: WorldPolicy;
  readonly others?: readonly WorldPolicy[];
  /** 'from to port' of packets that must pass, of those from web, job and outside to db. */
  readonly passing: readonly string[];
}

const ingress = [{ action: 'Deny', from: [{ namespaces: {} }] }];
const CASES: readonly Case[] = [
  {
    about: 'R14: pods are denied, the outside is not, and egress is not governed',
    spec: {
      ...{ tier: 'Admin', ...SUBJECT, ingress },
      egress: [{ action: 'Accept', to: [{ domainNames: ['example.org'] }] }],
    },
    policy: becomes({ types: ['Ingress'], ingress: [DENY_NAMESPACES] }),
    passing: [`${OUTSIDE} db 5432`],
  },
  {
    about: 'R15: nothing leaves a pod either',
    spec: { tier: 'Admin', ...SUBJECT, ingress, egress: [{ action: 'Deny', to: [{ nodes: {} }] }] },
    policy: becomes({
      ...{ types: ['Ingress', 'Egress'], ingress: [DENY_NAMESPACES] },
      egress: [{ action: 'Deny' }],
    }),
    passing: [`${OUTSIDE} db 5432`],
  },
  {
    about: 'an Accept of the admin tier on one port goes before a Deny',
    spec: {
      ...{ tier: 'Admin', ...SUBJECT },
      ingress: [
        {
          action: 'Accept',
          from: [{ namespaces: { matchLabels: { team: 'blue' } } }],
          protocols: [{ tcp: { destinationPort: { number: 5432 } } }],
        },
        ...ingress,
      ],
    },
    policy: becomes({
      types: ['Ingress'],
      ingress: [
        {
          action: 'Allow',
          protocol: 'TCP',
          source: {
            selector: 'has(projectcalico.org/namespace)',
            namespaceSelector: "team == 'blue'",
          },
          destination: { ports: [5432] },
        },
        DENY_NAMESPACES,
      ],
    }),
    passing: ['web db 5432', `${OUTSIDE} db 5432`],
  },
  {
    about: 'the baseline tier has no say where a Kubernetes policy governs',
    spec: { tier: 'Baseline', ...SUBJECT, ingress },
    policy: becomes({
      ...{ name: 'kcnp.kube-baseline.p', tier: 'kube-baseline' },
      ...{ types: ['Ingress'], ingress: [DENY_NAMESPACES] },
    }),
    others: [BLUE_OPEN],
    passing: ['web db 5432', 'job db 5432', `${OUTSIDE} db 5432`],
  },
];

describe('cluster policies', () => {
  test.each(CASES.map((one) => [one.about, one] as const))('%s', (_about, one) => {
    const { spec, policy, others = [], passing } = one;
    const converted = baseWorld({ policies: others });
    const hosts = new CalcHosts(Object.keys(converted.nodes));
    hosts.feed([...resourcesOf(converted), clusterPolicy(spec)]);
    hosts.onInSync();
    hosts.flush();
    const world = baseWorld({ policies: [...others, policy] });
    const judge = hosts.judge(world);
    for (const packet of PACKETS) {
      expect([packet, judge(packet)]).toEqual([packet, referenceVerdict(world, packet)]);
    }
    const passed = ['web', 'job', OUTSIDE]
      .map((from) => ({ from, to: 'db', dport: 5432 }))
      .filter((packet) => judge(packet) === 'allow')
      .map(({ from, to, dport }) => `${from} ${to} ${dport}`);
    expect(passed).toEqual(passing);
  });
});
