/** Namespaces and service accounts to the profiles that their pods list (spec/policy.md 12.1, 12.5). */
import { API_VERSION } from '../api/registry.js';
import type { Converted } from './converted.js';
import { firstIssue, namespace, serviceAccount } from './schema.js';

export const namespaceProfileName = (name: string): string => `kns.${name}`;
export const serviceAccountProfileName = (ns: string, name: string): string => `ksa.${ns}.${name}`;

const prefixed = (
  prefix: string,
  name: string,
  labels: Readonly<Record<string, string>> | null | undefined,
): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(Object.entries(labels ?? {}).map(([key, value]) => [prefix + key, value])),
  [`${prefix}projectcalico.org/name`]: name,
});

/** Open both ways: isolation begins with the first policy. */
export function convertNamespace(input: unknown): Converted {
  const parsed = namespace.safeParse(input);
  if (!parsed.success) return { resource: null, warnings: [firstIssue(parsed.error)] };
  const { name, labels } = parsed.data.metadata;
  const open = [{ action: 'Allow' }] as const;
  return {
    resource: {
      apiVersion: API_VERSION,
      kind: 'Profile',
      metadata: { name: namespaceProfileName(name) },
      spec: { ingress: open, egress: open, labelsToApply: prefixed('pcns.', name, labels) },
    },
    warnings: [],
  };
}

/** Labels only: no rules. */
export function convertServiceAccount(input: unknown): Converted {
  const parsed = serviceAccount.safeParse(input);
  if (!parsed.success) return { resource: null, warnings: [firstIssue(parsed.error)] };
  const { name, namespace: ns, labels } = parsed.data.metadata;
  return {
    resource: {
      apiVersion: API_VERSION,
      kind: 'Profile',
      metadata: { name: serviceAccountProfileName(ns, name) },
      spec: { labelsToApply: prefixed('pcsa.', name, labels) },
    },
    warnings: [],
  };
}
