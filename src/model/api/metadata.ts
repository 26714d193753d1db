/** metadata of every kind: names, labels, annotations, what create and update demand (spec/resources.md 2, 4.1). */
import * as z from 'zod';
import type { Metadata } from '../update.js';
import type { Mode } from './definition.js';
import type { Path, Report } from './problem.js';
import type { KindInfo } from './registry.js';
import { object } from './schema.js';
import {
  LABEL_NAME,
  LABEL_OR_PREFIXED,
  labelKeyProblem,
  labelValueProblem,
  nameProblem,
  SUBDOMAIN,
} from './value-name.js';

export const NAMESPACE_LABEL = 'projectcalico.org/namespace';
const ANNOTATION_BYTES_MAX = 262_144;
const TIER_NAME_MAX = 63;

const textMap = z.record(z.string(), z.string());

export const metadata = object({
  name: z.string().optional(),
  namespace: z.string().optional(),
  labels: textMap.optional(),
  annotations: textMap.optional(),
  resourceVersion: z.string().optional(),
  uid: z.string().optional(),
  creationTimestamp: z.string().optional(),
  generateName: z.string().optional(),
  generation: z.number().optional(),
  selfLink: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  deletionGracePeriodSeconds: z.number().optional(),
  finalizers: z.array(z.string()).optional(),
  ownerReferences: z.array(z.unknown()).optional(),
  managedFields: z.array(z.unknown()).optional(),
  clusterName: z.string().optional(),
});

/** All rules of metadata that need no spec. */
export function checkMetadata(
  info: KindInfo,
  value: Partial<Metadata>,
  options: { readonly mode: Mode; readonly report: Report },
): void {
  const { mode, report } = options;
  checkIdentity(info, value, options);
  if (mode === 'stored') return;
  checkLabels(['metadata', 'labels'], value.labels, report);
  if (info.kind === 'GlobalNetworkSet' || info.kind === 'NetworkSet') {
    const label = value.labels?.[NAMESPACE_LABEL];
    if (label !== undefined) {
      report(['metadata', 'labels', NAMESPACE_LABEL], label, 'is reserved on network sets');
    }
  }
  checkAnnotations(value.annotations, report);
  checkVersions(value, options);
}

/** The name, and whether there is a namespace where there has to be one. */
export function checkIdentity(
  info: KindInfo,
  value: Partial<Metadata>,
  options: { readonly mode: Mode; readonly report: Report },
): void {
  checkName(info, value, options);
  if (options.mode !== 'stored') checkNamespace(info, value.namespace, options);
}

const SINGLETONS: ReadonlySet<string> = new Set([
  'ClusterInformation',
  'IPAMConfiguration',
  'KubeControllersConfiguration',
]);

/** Names are part of keys, so they are checked in stored objects too. */
function checkName(
  info: KindInfo,
  value: Partial<Metadata>,
  { mode, report }: { readonly mode: Mode; readonly report: Report },
): void {
  const path = ['metadata', 'name'];
  const { name } = value;
  if (name === undefined) {
    // A WorkloadEndpoint's name is made of its spec.
    if (info.kind === 'WorkloadEndpoint' && mode !== 'stored') return;
    const reason = value.generateName === undefined ? '' : ': generateName is not supported';
    report(path, undefined, `is required${reason}`);
    return;
  }
  const reason = mode === 'stored' ? storedNameProblem(name) : kindNameProblem(info, name);
  if (reason !== undefined) report(path, name, reason);
}

/** Whatever can be a key: older writers had other rules. */
const storedNameProblem = (name: string): string | undefined =>
  name.includes('/') ? 'must not contain "/"' : undefined;

function kindNameProblem({ kind }: KindInfo, name: string): string | undefined {
  if (SINGLETONS.has(kind)) return name === 'default' ? undefined : 'must be "default"';
  switch (kind) {
    case 'Tier':
      return name.length > TIER_NAME_MAX
        ? `is too long by ${name.length - TIER_NAME_MAX}: at most ${TIER_NAME_MAX} bytes`
        : nameProblem(name, LABEL_NAME, 'lower-case letters, digits and "-" (no dots)');
    case 'NetworkPolicy':
    case 'StagedNetworkPolicy':
      if (/^(knp|ossg)\.default\./.test(name)) {
        return nameProblem(name, SUBDOMAIN, 'lower-case letters, digits, "-" and "."');
      }
      return policyNameProblem(name);
    case 'GlobalNetworkPolicy':
    case 'StagedGlobalNetworkPolicy':
      return policyNameProblem(name);
    default:
      return nameProblem(name, SUBDOMAIN, 'lower-case letters, digits, "-" and "."');
  }
}

const policyNameProblem = (name: string): string | undefined =>
  nameProblem(name, LABEL_OR_PREFIXED, 'lower-case letters, digits and "-", with at most one "."');

function checkNamespace(
  info: KindInfo,
  namespace: string | undefined,
  { mode, report }: { readonly mode: Mode; readonly report: Report },
): void {
  const path = ['metadata', 'namespace'];
  if (info.scope === 'global') {
    if (namespace !== undefined) report(path, namespace, `must be absent: ${info.kind} is global`);
    return;
  }
  if (namespace === undefined) {
    // Whoever reads the manifest knows which namespace was asked for.
    if (mode !== 'manifest') report(path, undefined, 'is required');
    return;
  }
  const reason =
    namespace.length > 63
      ? `is too long by ${namespace.length - 63}: at most 63 characters`
      : nameProblem(namespace, LABEL_NAME, 'lower-case letters, digits and "-"');
  if (reason !== undefined) report(path, namespace, reason);
}

export function checkLabels(
  path: Path,
  labels: Readonly<Record<string, string>> | undefined,
  report: Report,
): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    const keyReason = labelKeyProblem(key);
    if (keyReason !== undefined) report([...path, key], undefined, `label key ${keyReason}`);
    const valueReason = labelValueProblem(value);
    if (valueReason !== undefined) report([...path, key], value, valueReason);
  }
}

function checkAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  report: Report,
): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    const reason = labelKeyProblem(key.toLowerCase());
    if (reason !== undefined) {
      report(['metadata', 'annotations', key], undefined, `annotation key ${reason}`);
    }
  }
  if (bytes > ANNOTATION_BYTES_MAX) {
    const excess = bytes - ANNOTATION_BYTES_MAX;
    const reason = `is too large by ${excess}: keys and values may have ${ANNOTATION_BYTES_MAX} bytes`;
    report(['metadata', 'annotations'], undefined, reason);
  }
}

/** What the library's Create and Update want set or unset (spec/resources.md 4.1). */
function checkVersions(
  value: Partial<Metadata>,
  { mode, report }: { readonly mode: Mode; readonly report: Report },
): void {
  if (mode === 'create' && value.resourceVersion !== undefined) {
    const reason = 'must not be set for create';
    report(['metadata', 'resourceVersion'], value.resourceVersion, reason);
  }
  if (mode !== 'update') return;
  for (const field of ['resourceVersion', 'uid', 'creationTimestamp'] as const) {
    if (!value[field]) report(['metadata', field], undefined, 'must be set for update');
  }
}
