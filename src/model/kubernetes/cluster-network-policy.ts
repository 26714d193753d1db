/** ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) to a GlobalNetworkPolicy (spec/policy.md 15.4). */
import { z } from 'zod';
import {
  type ClusterAction,
  clusterRule,
  convertClusterPolicy,
  onlyField,
  type PortMatch,
  portRange,
  priority,
  type ReadClusterRule,
  understood,
} from './cluster-policy.js';
import type { Converted } from './converted.js';
import type { Port } from './network-policy.js';
import { firstIssue, metadata, portNumber, rules } from './schema.js';

const TIERS = { Admin: 'kube-admin', Baseline: 'kube-baseline' } as const;
const ACTIONS = { Accept: 'Allow', Deny: 'Deny', Pass: 'Pass' } as const satisfies Record<
  string,
  ClusterAction
>;
const PROTOCOLS = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const;

const clusterNetworkPolicy = z.object({
  metadata,
  spec: z.object({
    tier: z.enum(['Admin', 'Baseline']),
    priority,
    subject: z.unknown(),
    ingress: rules,
    egress: rules,
  }),
});

const destinationPort = z.strictObject({
  number: portNumber.nullish(),
  range: z.object({ start: portNumber, end: portNumber }).nullish(),
});

/** Strict: an unknown field may be what a later version restricts the match by. */
const transport = z.strictObject({ destinationPort: destinationPort.nullish() });

const protocol = z.strictObject({
  tcp: transport.nullish(),
  udp: transport.nullish(),
  sctp: transport.nullish(),
  destinationNamedPort: z.string().min(1).nullish(),
});

const policyRule = clusterRule.extend({
  action: z.enum(['Accept', 'Deny', 'Pass']),
  protocols: z.array(protocol).nullish(),
});

function portOf(port: z.infer<typeof destinationPort>): Port {
  const { number, range } = port;
  onlyField(['number', 'range'], port);
  return range ? portRange(range.start, range.end) : (number ?? 0);
}

function matchOf(entry: z.infer<typeof protocol>): PortMatch {
  const field = onlyField(['tcp', 'udp', 'sctp', 'destinationNamedPort'], entry);
  if (field === 'destinationNamedPort') return { port: entry.destinationNamedPort ?? '' };
  const port = entry[field]?.destinationPort;
  return { protocol: PROTOCOLS[field], ...(port ? { port: portOf(port) } : {}) };
}

function readRule(input: unknown): ReadClusterRule {
  const rule = understood(policyRule, input);
  return { rule, action: ACTIONS[rule.action], matches: (rule.protocols ?? []).map(matchOf) };
}

/** Never throws. Nothing without a known tier, a priority and a subject. */
export function convertClusterNetworkPolicy(input: unknown): Converted {
  const parsed = clusterNetworkPolicy.safeParse(input);
  if (!parsed.success) return { resource: null, warnings: [firstIssue(parsed.error)] };
  const { spec } = parsed.data;
  const { name, uid } = parsed.data.metadata;
  const tier = TIERS[spec.tier];
  return convertClusterPolicy({
    metadata: { name: `kcnp.${tier}.${name}`, ...(uid === undefined ? {} : { uid }) },
    tier,
    order: spec.priority,
    spec,
    readRule,
    allow: 'Accept',
  });
}
