/** StagedKubernetesNetworkPolicy: a Kubernetes NetworkPolicy that is proposed, never enforced (spec/resources.md 10.9). */
import * as z from 'zod';
import type { Definition, NamespacedOf, SpecOf } from './definition.js';
import { policyType } from './policy.js';
import { object, unique, whole } from './schema.js';
import { checkStagedDelete, stagedAction } from './staged-network-policy.js';
import { maskedCidr } from './value-net.js';

const labelSelector = object({
  matchLabels: z.record(z.string(), z.string()).optional(),
  matchExpressions: z
    .array(
      object({
        key: z.string(),
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

const peer = object({
  podSelector: labelSelector.optional(),
  namespaceSelector: labelSelector.optional(),
  ipBlock: object({ cidr: maskedCidr, except: z.array(maskedCidr).optional() }).optional(),
});

const policyPort = object({
  protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
  port: z
    .union([whole(1, 65535), z.string()], { error: 'must be a port number or a port name' })
    .optional(),
  endPort: whole(1, 65535).optional(),
});

const spec = () =>
  object({
    stagedAction,
    podSelector: labelSelector.default({}),
    ingress: z
      .array(object({ from: z.array(peer).optional(), ports: z.array(policyPort).optional() }))
      .optional(),
    egress: z
      .array(object({ to: z.array(peer).optional(), ports: z.array(policyPort).optional() }))
      .optional(),
    policyTypes: unique(policyType).optional(),
  });

export type StagedKubernetesNetworkPolicySpec = SpecOf<typeof spec>;
export type StagedKubernetesNetworkPolicy = NamespacedOf<
  'StagedKubernetesNetworkPolicy',
  StagedKubernetesNetworkPolicySpec
>;

export const stagedKubernetesNetworkPolicy: Definition<StagedKubernetesNetworkPolicySpec> = {
  spec,
  check: ({ spec }, report) => checkStagedDelete(spec, report),
};
