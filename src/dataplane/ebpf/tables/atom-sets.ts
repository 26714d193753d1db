/**
 * What rules in force ask about an address: membership of an IP set, of a list of nets, or a definition of
 * a named port. Ids are never used twice, so rules being replaced can still name theirs.
 */
export type AtomId = number;

/** Interned: equal sets are one object. */
export interface AtomSet {
  readonly id: number;
  /** Ascending. */
  readonly atoms: readonly AtomId[];
  readonly key: string;
  references: number;
}

/** Interned, reference-counted sets of atoms. Every method that returns a set adds a reference to it. */
export class AtomSets {
  readonly #byKey = new Map<string, AtomSet>();
  #nextId = 1;
  readonly empty: AtomSet = { id: 0, atoms: [], key: '', references: 1 };

  /** Sets in use, the empty one not counted. */
  get size(): number {
    return this.#byKey.size;
  }

  retain(set: AtomSet): AtomSet {
    set.references++;
    return set;
  }

  release(set: AtomSet): void {
    if (--set.references === 0) this.#byKey.delete(set.key);
  }

  with(set: AtomSet, atom: AtomId): AtomSet {
    if (set.atoms.includes(atom)) return this.retain(set);
    // Most atoms are newer than what is there.
    const last = set.atoms.at(-1) ?? -1;
    const atoms = [...set.atoms, atom];
    return this.#intern(last < atom ? atoms : atoms.sort(ascending));
  }

  without(set: AtomSet, atom: AtomId): AtomSet {
    if (!set.atoms.includes(atom)) return this.retain(set);
    return this.#intern(set.atoms.filter((other) => other !== atom));
  }

  union(a: AtomSet, b: AtomSet): AtomSet {
    if (b.atoms.length === 0 || a === b) return this.retain(a);
    if (a.atoms.length === 0) return this.retain(b);
    return this.#intern([...new Set([...a.atoms, ...b.atoms])].sort(ascending));
  }

  #intern(atoms: readonly AtomId[]): AtomSet {
    if (atoms.length === 0) return this.retain(this.empty);
    const key = atoms.join(',');
    const known = this.#byKey.get(key);
    if (known !== undefined) return this.retain(known);
    const made: AtomSet = { id: this.#nextId++, atoms, key, references: 1 };
    this.#byKey.set(key, made);
    return made;
  }
}

const ascending = (a: number, b: number): number => a - b;

/** Results of one operation on many equal inputs; holds a reference to each until cleared. */
export class AtomSetMemo {
  readonly #sets: AtomSets;
  readonly #results = new Map<string | number, AtomSet>();

  constructor(sets: AtomSets) {
    this.#sets = sets;
  }

  /** Adds a reference for the caller. */
  get(key: string | number, make: () => AtomSet): AtomSet {
    let result = this.#results.get(key);
    if (result === undefined) {
      result = make();
      this.#results.set(key, result);
    }
    return this.#sets.retain(result);
  }

  clear(): void {
    for (const set of this.#results.values()) this.#sets.release(set);
    this.#results.clear();
  }
}
