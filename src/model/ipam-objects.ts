/** The specs of address management's own objects (spec/ipam.md 2), named as Kubernetes' custom resources name them. */

/** One owner: a handle and what is said of it. Shared by all addresses of equal content. */
export interface AttributeSpec {
  readonly handle_id?: string | null;
  readonly secondary?: Readonly<Record<string, string>> | null;
  /** Of a second owner, while a virtual machine moves. */
  readonly alternateOwnerAttrs?: Readonly<Record<string, string>> | null;
  /** RFC 3339: released, and not yet to be used again. Then nothing else is set. */
  readonly releasedAt?: string;
}

export interface BlockSpec {
  readonly cidr: string;
  /** 'host:<host>', 'virtual:<host>' or null. */
  readonly affinity?: string | null;
  /** RFC 3339. */
  readonly affinityClaimTime?: string;
  /** By ordinal: an index into attributes, or null. */
  readonly allocations: readonly (number | null)[];
  /** Free ordinals, the next to be used first. */
  readonly unallocated: readonly number[];
  readonly attributes: readonly AttributeSpec[] | null;
  readonly strictAffinity?: boolean;
  /** Decimal text: 64 bits do not fit JavaScript's numbers. Stored as a JSON number. */
  readonly sequenceNumber?: string;
  /** The same, by ordinal. */
  readonly sequenceNumberForAllocation?: Readonly<Record<string, string>>;
  readonly deleted?: boolean;
  /** What a newer writer added. */
  readonly [other: string]: unknown;
}

export interface HandleSpec {
  /** How many addresses, by block. */
  readonly block: Readonly<Record<string, number>>;
  readonly deleted?: boolean;
  readonly [other: string]: unknown;
}

export type AffinityState = '' | 'confirmed' | 'pending' | 'pendingDeletion';
