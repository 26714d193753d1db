/** The contract into calc: one object of the datastore as it is now. */

/** Kinds as their users spell them, for example 'WorkloadEndpoint'. */
export interface ResourceKey {
  readonly kind: string;
  /** Absent for global kinds. */
  readonly namespace?: string;
  readonly name: string;
}

export interface ResourceUpdate {
  readonly key: ResourceKey;
  /** A validated, defaulted object; null when absent, deleted or invalid alike. */
  readonly value: Resource | null;
  /** Opaque; of the object, or of its deletion. */
  readonly revision: string;
}

/** The envelope all kinds share (spec/resources.md 1.1, 2.1). */
export interface Resource {
  readonly apiVersion: 'projectcalico.org/v3';
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec?: unknown;
  readonly status?: unknown;
}

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly resourceVersion?: string;
  readonly uid?: string;
  readonly creationTimestamp?: string | null;
  readonly generateName?: string;
  readonly [other: string]: unknown;
}

/** 'NetworkPolicy(shop/db)', 'Node(edge-01)': how messages name an object (spec/resources.md 5). */
export function formatKey(key: ResourceKey): string {
  return key.namespace === undefined
    ? `${key.kind}(${key.name})`
    : `${key.kind}(${key.namespace}/${key.name})`;
}
