/**
 * Wanted against actual, key by key, in the manner of Calico's deltatracker: either side may change at any time,
 * and what is left to do is always at hand without comparing everything. Does not do it.
 */
export class DeltaTracker<K, V> {
  readonly #desired = new Map<K, V>();
  readonly #actual = new Map<K, V>();
  /** Desired, and absent from actual or different there. */
  readonly #pendingUpdates = new Set<K>();
  /** Actual and not desired. */
  readonly #pendingDeletes = new Set<K>();
  readonly #isEqual: (a: V, b: V) => boolean;

  /** @param options isEqual Default: Object.is, right for texts and numbers. */
  constructor(options: { readonly isEqual?: (a: V, b: V) => boolean } = {}) {
    this.#isEqual = options.isEqual ?? Object.is;
  }

  get desired(): ReadonlyMap<K, V> {
    return this.#desired;
  }

  get actual(): ReadonlyMap<K, V> {
    return this.#actual;
  }

  get isInSync(): boolean {
    return this.#pendingUpdates.size === 0 && this.#pendingDeletes.size === 0;
  }

  get pendingCount(): number {
    return this.#pendingUpdates.size + this.#pendingDeletes.size;
  }

  setDesired(key: K, value: V): void {
    this.#desired.set(key, value);
    this.#compare(key);
  }

  deleteDesired(key: K): void {
    this.#desired.delete(key);
    this.#compare(key);
  }

  /** All of what is wanted. */
  replaceDesired(entries: Iterable<readonly [K, V]>): void {
    this.#replace(this.#desired, entries);
  }

  /** Done, or found to be so. */
  setActual(key: K, value: V): void {
    this.#actual.set(key, value);
    this.#compare(key);
  }

  /** Done, or found to be gone. */
  deleteActual(key: K): void {
    this.#actual.delete(key);
    this.#compare(key);
  }

  /** All of what there is, as a resync has read it. */
  replaceActual(entries: Iterable<readonly [K, V]>): void {
    this.#replace(this.#actual, entries);
  }

  /** What must be made or changed, to the value given. While iterating, setActual() what is done. */
  *pendingUpdates(): IterableIterator<readonly [K, V]> {
    for (const key of this.#pendingUpdates) {
      // Pending updates are desired by definition; the value itself may be undefined.
      yield [key, this.#desired.get(key) as V];
    }
  }

  /** What must go, with what is there now. While iterating, deleteActual() what is done. */
  *pendingDeletes(): IterableIterator<readonly [K, V]> {
    for (const key of this.#pendingDeletes) yield [key, this.#actual.get(key) as V];
  }

  #replace(side: Map<K, V>, entries: Iterable<readonly [K, V]>): void {
    const before = new Set(side.keys());
    side.clear();
    for (const [key, value] of entries) side.set(key, value);
    for (const key of side.keys()) this.#compare(key);
    for (const key of before) if (!side.has(key)) this.#compare(key);
  }

  #compare(key: K): void {
    const isDesired = this.#desired.has(key);
    const isActual = this.#actual.has(key);
    if (isActual && !isDesired) this.#pendingDeletes.add(key);
    else this.#pendingDeletes.delete(key);
    if (isDesired && !(isActual && this.#isSame(key))) this.#pendingUpdates.add(key);
    else this.#pendingUpdates.delete(key);
  }

  #isSame(key: K): boolean {
    return this.#isEqual(this.#desired.get(key) as V, this.#actual.get(key) as V);
  }
}
