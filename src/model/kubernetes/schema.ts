/** The fields of Kubernetes objects that conversion reads; all others are left alone. */
import { z } from 'zod';

const labelKey = z.string().regex(/^[A-Za-z0-9_./-]+$/, 'is no label key');
const labelValue = z.string().regex(/^[A-Za-z0-9_.-]*$/, 'is no label value');
const labels = z.record(labelKey, labelValue);

export const labelSelector = z.object({
  matchLabels: labels.nullish(),
  matchExpressions: z
    .array(
      z.object({
        key: labelKey,
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(labelValue).nullish(),
      }),
    )
    .nullish(),
});
export type LabelSelector = z.infer<typeof labelSelector>;

export const metadata = z.object({
  name: z.string().min(1),
  namespace: z.string().min(1).optional(),
  uid: z.string().optional(),
  labels: z.record(z.string(), z.string()).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
});
const namespaced = metadata.extend({ namespace: z.string().min(1) });

export const portNumber = z.number().int().min(1).max(65_535);
export const protocol = z.enum(['TCP', 'UDP', 'SCTP']);

export const policyPort = z.object({
  protocol: protocol.nullish(),
  port: z.union([portNumber, z.string().min(1)]).nullish(),
  endPort: portNumber.nullish(),
});
export type PolicyPort = z.infer<typeof policyPort>;

export const policyPeer = z.object({
  podSelector: labelSelector.nullish(),
  namespaceSelector: labelSelector.nullish(),
  ipBlock: z.object({ cidr: z.string(), except: z.array(z.string()).nullish() }).nullish(),
});
export type PolicyPeer = z.infer<typeof policyPeer>;

/** Rules are read one by one: one that cannot be converted does not take the others with it. */
export const rules = z.array(z.unknown()).nullish();

export const networkPolicy = z.object({
  metadata: namespaced,
  spec: z.object({
    podSelector: labelSelector.nullish(),
    policyTypes: z.array(z.enum(['Ingress', 'Egress'])).nullish(),
    ingress: rules,
    egress: rules,
  }),
});

export const policyRule = z.object({
  from: z.array(policyPeer).nullish(),
  to: z.array(policyPeer).nullish(),
  ports: z.array(policyPort).nullish(),
});

export const namespace = z.object({ metadata });
export const serviceAccount = z.object({ metadata: namespaced });

const container = z.object({
  ports: z
    .array(
      z.object({
        name: z.string().optional(),
        containerPort: portNumber,
        protocol: protocol.nullish(),
      }),
    )
    .nullish(),
});

export const pod = z.object({
  metadata: namespaced,
  spec: z.object({
    nodeName: z.string().nullish(),
    hostNetwork: z.boolean().nullish(),
    serviceAccountName: z.string().nullish(),
    containers: z.array(container).nullish(),
    initContainers: z.array(container).nullish(),
  }),
  status: z
    .object({
      phase: z.string().nullish(),
      podIP: z.string().nullish(),
      podIPs: z.array(z.object({ ip: z.string() })).nullish(),
    })
    .nullish(),
});
export type Pod = z.infer<typeof pod>;

/** 'spec.podSelector.matchLabels: is no label key', the first of what is wrong. */
export function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  return issue === undefined ? 'is not understood' : `${issue.path.join('.')}: ${issue.message}`;
}
