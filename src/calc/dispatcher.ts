/**
 * Who hears of which kind. Reads an object once, before anybody hears of it: what cannot be read is told as absent
 * (spec/policy.md 13.4), so that no node is left half told. Kinds without a hearer are dropped: staged policies
 * among them, which never decide anything (15.2).
 */
import { errorMessage } from '../base/error.js';
import {
  formatKey,
  type Resource,
  type ResourceKey,
  type ResourceUpdate,
} from '../model/update.js';

export interface ResourceHearer<Value> {
  /** The object as the nodes take it. Whatever it throws is a reason to take the object for absent. */
  read(key: ResourceKey, object: Resource): Value;
  /** Must not fail on what could be read; null is absent, deleted or invalid alike. */
  hear(key: ResourceKey, value: Value | null): void;
}

export class Dispatcher {
  readonly #hearers = new Map<string, (key: ResourceKey, object: Resource | null) => void>();
  readonly #invalid = new Map<string, string>();

  /** A kind has one hearer. */
  register<Value>(kind: string, { read, hear }: ResourceHearer<Value>): void {
    this.#hearers.set(kind, (key, object) => hear(key, this.#readable(key, object, read)));
  }

  dispatch({ key, value }: ResourceUpdate): void {
    this.#hearers.get(key.kind)?.(key, value);
  }

  /** Objects that are there but could not be read, by formatKey(), and why. */
  invalid(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#invalid);
  }

  sizes(): Readonly<Record<string, number>> {
    return { invalid: this.#invalid.size };
  }

  #readable<Value>(
    key: ResourceKey,
    object: Resource | null,
    read: ResourceHearer<Value>['read'],
  ): Value | null {
    if (this.#invalid.size > 0) this.#invalid.delete(formatKey(key));
    if (object === null) return null;
    try {
      return read(key, object);
    } catch (error) {
      this.#invalid.set(formatKey(key), errorMessage(error));
      return null;
    }
  }
}

/**
 * 'namespace/name', or 'name' of global kinds. Joined, not concatenated: these strings are kept for as long as the
 * object lives, and a concatenation would keep all its pieces and be compared piece by piece. The last one is
 * remembered, so that all nodes hold one string, whose hash is computed once.
 */
export function localName(key: ResourceKey): string {
  const { namespace, name } = key;
  if (namespace === undefined) return name;
  if (lastName.key !== key) lastName = { key, name: [namespace, name].join('/') };
  return lastName.name;
}

/**
 * Unique among all kinds: 'NetworkSet/blue/vendor'; of a WorkloadEndpoint the local name as it is. That cannot be
 * another kind's, since a kind begins with a capital and no namespace has one.
 */
export function globalName(key: ResourceKey): string {
  const { kind, namespace, name } = key;
  if (kind === 'WorkloadEndpoint' && namespace !== undefined) return localName(key);
  return namespace === undefined ? [kind, name].join('/') : [kind, namespace, name].join('/');
}

let lastName: { readonly key: ResourceKey | null; readonly name: string } = { key: null, name: '' };
