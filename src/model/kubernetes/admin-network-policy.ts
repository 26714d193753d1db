/**
 * AdminNetworkPolicy and BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1), the forerunners of
 * ClusterNetworkPolicy, to GlobalNetworkPolicies in tiers of their own (spec/policy.md 15.4).
 */
import { z } from 'zod';
import {
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
import { firstIssue, metadata, portNumber, protocol, rules } from './schema.js';

const ADMIN_TIER = 'adminnetworkpolicy';
const BASELINE_TIER = 'baselineadminnetworkpolicy';
const BASELINE_ORDER = 1000;
/** The only name that a BaselineAdminNetworkPolicy may have. */
const BASELINE_NAME = 'default';

const spec = z.object({ subject: z.unknown(), ingress: rules, egress: rules });
const adminNetworkPolicy = z.object({ metadata, spec: spec.extend({ priority }) });
const baselineAdminNetworkPolicy = z.object({ metadata, spec });

const policyPort = z.strictObject({
  portNumber: z.object({ protocol: protocol.nullish(), port: portNumber }).nullish(),
  portRange: z
    .object({ protocol: protocol.nullish(), start: portNumber, end: portNumber })
    .nullish(),
  namedPort: z.string().min(1).nullish(),
});

const policyRule = clusterRule.extend({
  action: z.enum(['Allow', 'Deny', 'Pass']),
  ports: z.array(policyPort).nullish(),
});

function matchOf(entry: z.infer<typeof policyPort>): PortMatch {
  onlyField(['portNumber', 'portRange', 'namedPort'], entry);
  const { portNumber: single, portRange: range, namedPort } = entry;
  if (single) return { protocol: single.protocol ?? 'TCP', port: single.port };
  if (range) return { protocol: range.protocol ?? 'TCP', port: portRange(range.start, range.end) };
  return { port: namedPort ?? '' };
}

function readRule(input: unknown): ReadClusterRule {
  const rule = understood(policyRule, input);
  return { rule, action: rule.action, matches: (rule.ports ?? []).map(matchOf) };
}

const COMMON = { readRule, allow: 'Allow' } as const;

/** Never throws. */
export function convertAdminNetworkPolicy(input: unknown): Converted {
  const parsed = adminNetworkPolicy.safeParse(input);
  if (!parsed.success) return { resource: null, warnings: [firstIssue(parsed.error)] };
  const { name, uid } = parsed.data.metadata;
  return convertClusterPolicy({
    ...COMMON,
    metadata: { name: `kanp.${ADMIN_TIER}.${name}`, ...(uid === undefined ? {} : { uid }) },
    tier: ADMIN_TIER,
    order: parsed.data.spec.priority,
    spec: parsed.data.spec,
  });
}

/** Never throws. There is one in a cluster. */
export function convertBaselineAdminNetworkPolicy(input: unknown): Converted {
  const parsed = baselineAdminNetworkPolicy.safeParse(input);
  if (!parsed.success) return { resource: null, warnings: [firstIssue(parsed.error)] };
  const { name, uid } = parsed.data.metadata;
  if (name !== BASELINE_NAME) {
    return { resource: null, warnings: [`metadata.name must be ${BASELINE_NAME}, found ${name}`] };
  }
  return convertClusterPolicy({
    ...COMMON,
    metadata: { name: `kbanp.${BASELINE_TIER}.${name}`, ...(uid === undefined ? {} : { uid }) },
    tier: BASELINE_TIER,
    order: BASELINE_ORDER,
    spec: parsed.data.spec,
  });
}
