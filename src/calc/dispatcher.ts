/**
 * Who hears of which kind. Turns keys into the ids that the nodes use; kinds without a hearer are dropped:
 * staged policies among them, which never decide anything (spec/policy.md 15.2).
 */
import type { Resource, ResourceKey, ResourceUpdate } from '../model/update.js';

export type ResourceHearer = (key: ResourceKey, value: Resource | null) => void;

export class Dispatcher {
  readonly #hearers = new Map<string, ResourceHearer[]>();

  /** Hearers of a kind are told in the order in which they were registered. */
  register(kind: string, hearer: ResourceHearer): void {
    const hearers = this.#hearers.get(kind);
    if (hearers === undefined) this.#hearers.set(kind, [hearer]);
    else hearers.push(hearer);
  }

  dispatch({ key, value }: ResourceUpdate): void {
    for (const hearer of this.#hearers.get(key.kind) ?? []) hearer(key, value);
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
