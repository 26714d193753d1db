/** Sets by key, without empty sets: what an index is made of. */
import { assert } from '../assert.js';

const EMPTY: ReadonlySet<never> = new Set<never>();

/** Keys, and the values of a key, are iterated in the order in which they came. */
export class MultiMap<K, V> {
  readonly #sets = new Map<K, Set<V>>();
  #size = 0;

  /** Pairs. */
  get size(): number {
    return this.#size;
  }

  get keyCount(): number {
    return this.#sets.size;
  }

  /** False: the pair was there. */
  add(key: K, value: V): boolean {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else if (set.has(value)) return false;
    else set.add(value);
    this.#size++;
    return true;
  }

  /** False: the pair was not there. */
  delete(key: K, value: V): boolean {
    const set = this.#sets.get(key);
    if (set === undefined || !set.delete(value)) return false;
    if (set.size === 0) this.#sets.delete(key);
    this.#size--;
    return true;
  }

  /** All pairs of a key; how many there were. */
  deleteKey(key: K): number {
    const count = this.get(key).size;
    this.#sets.delete(key);
    this.#size -= count;
    return count;
  }

  /** Live: it changes with the map. Empty for a key that is not there. */
  get(key: K): ReadonlySet<V> {
    return this.#sets.get(key) ?? EMPTY;
  }

  has(key: K, value: V): boolean {
    return this.get(key).has(value);
  }

  hasKey(key: K): boolean {
    return this.#sets.has(key);
  }

  keys(): IterableIterator<K> {
    return this.#sets.keys();
  }

  *[Symbol.iterator](): IterableIterator<readonly [K, V]> {
    for (const [key, set] of this.#sets) for (const value of set) yield [key, value];
  }

  clear(): void {
    this.#sets.clear();
    this.#size = 0;
  }
}

/** A set whose members are there as long as somebody holds them: two endpoints may share an address. */
export class RefCountedSet<T> {
  readonly #counts = new Map<T, number>();

  get size(): number {
    return this.#counts.size;
  }

  has(value: T): boolean {
    return this.#counts.has(value);
  }

  count(value: T): number {
    return this.#counts.get(value) ?? 0;
  }

  /** True: it is new. */
  add(value: T): boolean {
    const count = this.count(value);
    this.#counts.set(value, count + 1);
    return count === 0;
  }

  /** True: nobody holds it any more. Dropping what nobody held is a bug. */
  delete(value: T): boolean {
    const count = this.count(value);
    assert(count > 0, 'a reference was dropped that nobody held');
    if (count === 1) this.#counts.delete(value);
    else this.#counts.set(value, count - 1);
    return count === 1;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#counts.keys();
  }
}

/** Pairs that are there as long as somebody holds them. */
export class RefCountedMultiMap<K, V> {
  readonly #sets = new Map<K, RefCountedSet<V>>();

  get keyCount(): number {
    return this.#sets.size;
  }

  /** True: the pair is new. */
  add(key: K, value: V): boolean {
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = new RefCountedSet();
      this.#sets.set(key, set);
    }
    return set.add(value);
  }

  /** True: nobody holds the pair any more. Dropping what nobody held is a bug. */
  delete(key: K, value: V): boolean {
    const set = this.#sets.get(key);
    assert(set !== undefined, 'a reference was dropped that nobody held');
    const isGone = set.delete(value);
    if (set.size === 0) this.#sets.delete(key);
    return isGone;
  }

  count(key: K, value: V): number {
    return this.#sets.get(key)?.count(value) ?? 0;
  }

  has(key: K, value: V): boolean {
    return this.count(key, value) > 0;
  }

  keys(): IterableIterator<K> {
    return this.#sets.keys();
  }

  /** Each value once, however many hold it. */
  *values(key: K): IterableIterator<V> {
    const set = this.#sets.get(key);
    if (set !== undefined) yield* set;
  }
}
