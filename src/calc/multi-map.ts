/**
 * Several values per key, each once. A key without values is not there, so that indexes empty themselves. Most
 * keys of the large indexes have one value, which is kept bare: a Set of one costs 200 bytes. undefined is no value.
 */
export class MultiMap<Key, Value> {
  readonly #single = new Map<Key, Value>();
  readonly #several = new Map<Key, Set<Value>>();

  /** Keys that have a value. */
  get size(): number {
    return this.#single.size + this.#several.size;
  }

  add(key: Key, value: Value): void {
    const several = this.#several.get(key);
    if (several !== undefined) {
      several.add(value);
      return;
    }
    const single = this.#single.get(key);
    if (single === undefined || single === value) this.#single.set(key, value);
    else {
      this.#single.delete(key);
      this.#several.set(key, new Set([single, value]));
    }
  }

  delete(key: Key, value: Value): void {
    const several = this.#several.get(key);
    if (several === undefined) {
      if (this.#single.get(key) === value) this.#single.delete(key);
      return;
    }
    several.delete(value);
    if (several.size > 1) return;
    this.#several.delete(key);
    for (const last of several) this.#single.set(key, last);
  }

  /** Not to be held while values of the key come or go. */
  get(key: Key): Iterable<Value> {
    const several = this.#several.get(key);
    if (several !== undefined) return several;
    const single = this.#single.get(key);
    return single === undefined ? NONE : [single];
  }
}

const NONE: readonly never[] = [];
