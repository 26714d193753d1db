/** Which labels an endpoint or set presents to selectors (spec/selectors.md 7, spec/policy.md 3.1, 12.5). */
import { NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL } from '../model/selector/transform.js';

/** A map, never a plain object: 'constructor' and '__proto__' are ordinary, normally absent labels. */
export type Labels = ReadonlyMap<string, string>;

/** Name, value, name, value; each name once. One is kept per distinct set of labels, and a map takes five times as much. */
export type OwnLabels = readonly string[];

/** What selectors are evaluated over. */
export interface LabelView extends Iterable<readonly [name: string, value: string]> {
  get(name: string): string | undefined;
}

export const EMPTY_LABELS: Labels = new Map();
const ORCHESTRATOR_LABEL = 'projectcalico.org/orchestrator';
/** Before the labels a workload inherits from its namespace and from its service account. */
const NAMESPACE_PREFIX = 'pcns.';
const SERVICE_ACCOUNT_PREFIX = 'pcsa.';

const LABEL_VALUE_LENGTH_MAX = 63;

type WrittenLabels = Readonly<Record<string, string>> | undefined;

/** As written: host endpoints and global network sets. */
export function ownLabels(written: WrittenLabels): OwnLabels {
  return Object.entries(written ?? {}).flat();
}

export interface WorkloadIdentity {
  readonly namespace: string | undefined;
  readonly orchestrator: string | undefined;
  readonly serviceAccountName: string | undefined;
}

/**
 * A workload cannot claim what it should inherit, so that it cannot pose as of another namespace; system labels
 * override whatever its owner wrote.
 */
export function workloadLabels(written: WrittenLabels, identity: WorkloadIdentity): OwnLabels {
  const { namespace, orchestrator, serviceAccountName: account = '' } = identity;
  const labels: string[] = [];
  for (const name in written) {
    const isInherited =
      name.startsWith(NAMESPACE_PREFIX) || name.startsWith(SERVICE_ACCOUNT_PREFIX);
    const value = isInherited ? undefined : written[name];
    if (value !== undefined) labels.push(name, value);
  }
  setIfGiven(labels, NAMESPACE_LABEL, namespace);
  setIfGiven(labels, ORCHESTRATOR_LABEL, orchestrator);
  const isLabelValue = account.length <= LABEL_VALUE_LENGTH_MAX;
  setIfGiven(labels, SERVICE_ACCOUNT_LABEL, isLabelValue ? account : undefined);
  return labels;
}

/** A NetworkSet belongs to its namespace and inherits that namespace's labels through its profile. */
export function networkSetLabels(written: WrittenLabels, namespace: string | undefined): OwnLabels {
  const labels = Object.entries(written ?? {}).flat();
  setIfGiven(labels, NAMESPACE_LABEL, namespace);
  return labels;
}

/** The profile that carries a namespace's labels. */
export function namespaceProfile(namespace: string): string {
  return `kns.${namespace}`;
}

/** Own labels win, then the parents' in order. */
export class EffectiveLabels implements LabelView {
  readonly #own: OwnLabels;
  readonly #parents: readonly Labels[];

  constructor(own: OwnLabels, parents: readonly Labels[]) {
    this.#own = own;
    this.#parents = parents;
  }

  get(name: string): string | undefined {
    for (let at = 0; at < this.#own.length; at += 2) {
      if (this.#own[at] === name) return this.#own[at + 1];
    }
    for (const parent of this.#parents) {
      const value = parent.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  *[Symbol.iterator](): Generator<readonly [name: string, value: string]> {
    for (let at = 0; at < this.#own.length; at += 2) {
      yield [this.#own[at] ?? '', this.#own[at + 1] ?? ''];
    }
    for (const [index, parent] of this.#parents.entries()) {
      for (const entry of parent) if (!this.#isOverridden(entry[0], index)) yield entry;
    }
  }

  /** By own labels, or by a parent before this one. */
  #isOverridden(name: string, parentIndex: number): boolean {
    for (let at = 0; at < this.#own.length; at += 2) if (this.#own[at] === name) return true;
    return this.#parents.slice(0, parentIndex).some((parent) => parent.has(name));
  }
}

function setIfGiven(labels: string[], name: string, value: string | undefined): void {
  if (value === undefined || value === '') return;
  for (let at = 0; at < labels.length; at += 2) {
    if (labels[at] !== name) continue;
    labels[at + 1] = value;
    return;
  }
  labels.push(name, value);
}
