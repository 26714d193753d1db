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
 * object lives, and a concatenation would keep all its pieces and cost a comparison more.
 */
export function localName({ namespace, name }: ResourceKey): string {
  return namespace === undefined ? name : [namespace, name].join('/');
}

/** Unique among all kinds: 'NetworkSet/blue/vendor'. */
export function globalName(key: ResourceKey): string {
  const { kind, namespace, name } = key;
  return namespace === undefined ? [kind, name].join('/') : [kind, namespace, name].join('/');
}
