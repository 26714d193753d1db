/** Several values per key, each once. A key without values is not there, so that indexes empty themselves. */
export class MultiMap<Key, Value> {
  readonly #valuesByKey = new Map<Key, Set<Value>>();

  /** Keys that have a value. */
  get size(): number {
    return this.#valuesByKey.size;
  }

  add(key: Key, value: Value): void {
    const values = this.#valuesByKey.get(key);
    if (values === undefined) this.#valuesByKey.set(key, new Set([value]));
    else values.add(value);
  }

  delete(key: Key, value: Value): void {
    const values = this.#valuesByKey.get(key);
    values?.delete(value);
    if (values?.size === 0) this.#valuesByKey.delete(key);
  }

  /** Live: shows later changes. Empty when the key is not there. */
  get(key: Key): ReadonlySet<Value> {
    return this.#valuesByKey.get(key) ?? NONE;
  }
}

const NONE: ReadonlySet<never> = new Set();
