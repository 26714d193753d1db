import type { AtomId, AtomSet } from './atom-sets.js';
import type { IndexPool } from './index-pool.js';

/** A class of addresses that no rule in force tells apart. */
export interface AddressClass {
  readonly id: number;
  readonly atoms: readonly AtomId[];
}

interface Held extends AddressClass {
  readonly set: AtomSet | null;
  references: number;
}

/**
 * Class ids: stable while in use. Class 0 has no atoms and is always there. Freed classes are still listed
 * until reclaimed, because a packet being judged may hold one and must find a row for it.
 */
export class ClassTable {
  readonly #pool: IndexPool;
  readonly #byId = new Map<number, Held>();
  readonly #bySet = new Map<AtomSet, Held>();
  #fresh: AddressClass[] = [];

  /** The pool must have id 0 reserved, and call forget() for what it reclaims. */
  constructor(pool: IndexPool) {
    this.#pool = pool;
    this.#byId.set(0, { id: 0, atoms: [], set: null, references: 1 });
  }

  /** The class of a signature, made if there is none, with one more reference. */
  acquire(set: AtomSet): number {
    if (set.atoms.length === 0) return 0;
    const known = this.#bySet.get(set);
    if (known !== undefined) {
      known.references++;
      return known.id;
    }
    const made = this.#make(set.atoms, set);
    this.#bySet.set(set, made);
    return made.id;
  }

  /** A class of its own that is on its way to become another. */
  acquireTransition(to: number): number {
    return this.#make(this.get(to)?.atoms ?? [], null).id;
  }

  retain(id: number): void {
    const held = this.#byId.get(id);
    if (held !== undefined) held.references++;
  }

  release(id: number): void {
    const held = this.#byId.get(id);
    if (held === undefined || id === 0 || --held.references > 0) return;
    if (held.set !== null) this.#bySet.delete(held.set);
    this.#pool.free(id);
  }

  forget(id: number): void {
    this.#byId.delete(id);
  }

  get(id: number): AddressClass | undefined {
    return this.#byId.get(id);
  }

  /** All that a packet may carry. */
  all(): Iterable<AddressClass> {
    return this.#byId.values();
  }

  /** Classes made since this was last asked. */
  takeFresh(): readonly AddressClass[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  /** Listed classes, class 0 included. */
  get size(): number {
    return this.#byId.size;
  }

  /** One more than the highest id listed. */
  get span(): number {
    let span = 0;
    for (const id of this.#byId.keys()) span = Math.max(span, id + 1);
    return span;
  }

  #make(atoms: readonly AtomId[], set: AtomSet | null): Held {
    const held: Held = { id: this.#pool.allocate(), atoms, set, references: 1 };
    this.#byId.set(held.id, held);
    this.#fresh.push(held);
    return held;
  }
}
