/** Which labels an endpoint or set presents to selectors (spec/selectors.md 7, spec/policy.md 3.1, 12.5). */
import { NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL } from '../model/selector/transform.js';
import type { Metadata } from '../model/update.js';
import type { StoredObject, WorkloadEndpointSpec } from './stored-objects.js';

/** A map, never a plain object: 'constructor' and '__proto__' are ordinary, normally absent labels. */
export type Labels = ReadonlyMap<string, string>;

export const EMPTY_LABELS: Labels = new Map();
const ORCHESTRATOR_LABEL = 'projectcalico.org/orchestrator';
/** Before the labels a workload inherits from its namespace and from its service account. */
const NAMESPACE_PREFIX = 'pcns.';
const SERVICE_ACCOUNT_PREFIX = 'pcsa.';

const LABEL_VALUE_LENGTH_MAX = 63;

/** As written: host endpoints and global network sets. */
export function ownLabels(metadata: Metadata): Map<string, string> {
  return new Map(Object.entries(metadata.labels ?? {}));
}

/**
 * A workload cannot claim what it should inherit, so that it cannot pose as of another namespace; system labels
 * override whatever its owner wrote.
 */
export function workloadLabels({ metadata, spec }: StoredObject<WorkloadEndpointSpec>): Labels {
  const labels = ownLabels(metadata);
  for (const name of labels.keys()) {
    if (name.startsWith(NAMESPACE_PREFIX) || name.startsWith(SERVICE_ACCOUNT_PREFIX)) {
      labels.delete(name);
    }
  }
  setIfGiven(labels, NAMESPACE_LABEL, metadata.namespace);
  setIfGiven(labels, ORCHESTRATOR_LABEL, spec.orchestrator);
  const account = spec.serviceAccountName;
  if (account !== undefined && account.length <= LABEL_VALUE_LENGTH_MAX) {
    setIfGiven(labels, SERVICE_ACCOUNT_LABEL, account);
  }
  return labels;
}

/** A NetworkSet belongs to its namespace and inherits that namespace's labels through its profile. */
export function networkSetLabels(metadata: Metadata): Labels {
  const labels = ownLabels(metadata);
  setIfGiven(labels, NAMESPACE_LABEL, metadata.namespace);
  return labels;
}

/** The profile that carries a namespace's labels. */
export function namespaceProfile(namespace: string): string {
  return `kns.${namespace}`;
}

/** Own labels win, then the parents' in order. */
export function inheritLabels(own: Labels, parents: readonly Labels[]): Labels {
  if (parents.every((parent) => parent.size === 0)) return own;
  const labels = new Map(own);
  for (const parent of parents) {
    for (const [name, value] of parent) if (!labels.has(name)) labels.set(name, value);
  }
  return labels;
}

function setIfGiven(labels: Map<string, string>, name: string, value: string | undefined): void {
  if (value !== undefined && value !== '') labels.set(name, value);
}
