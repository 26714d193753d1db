/**
 * What changed since the consumer last asked: one entry per object, however often it changed. Bounded by the
 * number of objects. Decides what is worth sending; does no I/O.
 */
import {
  formatKey,
  type Resource,
  type ResourceKey,
  type ResourceUpdate,
} from '../../model/update.js';
import type { StoredResource } from '../datastore.js';

export interface Change {
  readonly update: ResourceUpdate;
  /** Why a present object counts as absent; empty otherwise. */
  readonly problems: readonly string[];
}

/** Everything up to `revision`. */
export interface Changes {
  readonly changes: readonly Change[];
  readonly revision: string;
  readonly inSync: boolean;
}

interface Known {
  readonly key: ResourceKey;
  /** Tells states of an object apart, also across a store that was replaced and counts anew. */
  readonly state: string;
}

export class PendingChanges {
  readonly #pending = new Map<string, Change>();
  /** What the consumer holds once it has taken everything pending. Invalid objects count as known. */
  readonly #known = new Map<string, Known>();
  #revision = '0';
  #inSync = false;

  /** Is this very state of the object recorded? Then it need not be validated again. */
  isKnown(item: StoredResource): boolean {
    return this.#known.get(formatKey(item.key))?.state === stateOf(item);
  }

  /** An object as it is now. */
  put(item: StoredResource, value: Resource | null, problems: readonly string[]): void {
    const { key, revision } = item;
    this.#set({ key, state: stateOf(item) }, { update: { key, value, revision }, problems });
  }

  /** Something is stored there, but it is no object. */
  invalid(key: ResourceKey, revision: string, reason: string): void {
    const change = { update: { key, value: null, revision }, problems: [reason] };
    this.#set({ key, state: `${revision}/invalid` }, change);
  }

  #set(known: Known, change: Change): void {
    const id = formatKey(known.key);
    if (this.#known.get(id)?.state === known.state) return;
    this.#known.set(id, known);
    this.#record(id, change);
  }

  delete(key: ResourceKey, revision: string): void {
    const id = formatKey(key);
    if (this.#known.delete(id)) {
      this.#record(id, { update: { key, value: null, revision }, problems: [] });
    }
  }

  /** Deletes what is known but not among these ids (formatKey): nobody told us when it went. */
  deleteOthers(present: ReadonlySet<string>, revision: string): void {
    for (const [id, { key }] of this.#known) {
      if (!present.has(id)) this.delete(key, revision);
    }
  }

  #record(id: string, change: Change): void {
    // Last change last: the order of commits survives coalescing as well as it can.
    this.#pending.delete(id);
    this.#pending.set(id, change);
  }

  /** Everything up to this revision has been recorded. */
  reached(revision: string): void {
    this.#revision = revision;
  }

  /** A whole snapshot has been recorded: true from now on, also while a lost connection is made good. */
  synced(): void {
    this.#inSync = true;
  }

  take(): Changes {
    const changes = [...this.#pending.values()];
    this.#pending.clear();
    return { changes, revision: this.#revision, inSync: this.#inSync };
  }
}

function stateOf({ revision, value }: StoredResource): string {
  return `${revision}/${value.metadata.uid ?? ''}`;
}
