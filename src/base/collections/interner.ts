import { assert } from '../assert.js';

interface Interned<K> {
  readonly key: K;
  readonly id: number;
  references: number;
}

/**
 * Small numbers for keys: 0, 1, 2 and so on, the same for a key as long as somebody holds it. A number that
 * nobody holds is given out again, the last one first, so that numbers stay as small as there were keys at once.
 */
export class Interner<K> {
  readonly #byKey = new Map<K, Interned<K>>();
  readonly #byId: (Interned<K> | undefined)[] = [];
  readonly #free: number[] = [];

  /** Keys that are held. */
  get size(): number {
    return this.#byKey.size;
  }

  /** All ids there ever were are below this. */
  get idsEnd(): number {
    return this.#byId.length;
  }

  /** One more reference to the key's id. */
  acquire(key: K): number {
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.references++;
      return known.id;
    }
    const id = this.#free.pop() ?? this.#byId.length;
    const made = { key, id, references: 1 };
    this.#byKey.set(key, made);
    this.#byId[id] = made;
    return id;
  }

  /** One reference less. True: it was the last, and the id may now come to mean another key. */
  release(id: number): boolean {
    const known = this.#byId[id];
    assert(known !== undefined, `id ${id} was released but nobody held it`);
    known.references--;
    if (known.references > 0) return false;
    this.#byKey.delete(known.key);
    this.#byId[id] = undefined;
    this.#free.push(id);
    return true;
  }

  /** Without taking a reference. */
  idOf(key: K): number | undefined {
    return this.#byKey.get(key)?.id;
  }

  keyOf(id: number): K | undefined {
    return this.#byId[id]?.key;
  }
}
