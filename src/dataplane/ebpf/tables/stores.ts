/** Hears of every store, with the view it went to. */
export type OnStore = (view: Uint32Array | Uint16Array | BigUint64Array) => void;

/**
 * The only way into memory that packets may be reading. Each store is one aligned word: a reader sees it
 * whole or not at all, and never before what was written ahead of it.
 */
export class Stores {
  count = 0;
  readonly #onStore: OnStore | undefined;

  constructor(onStore?: OnStore) {
    this.#onStore = onStore;
  }

  word(view: Uint32Array | Uint16Array, index: number, value: number): void {
    Atomics.store(view, index, value);
    this.count++;
    this.#onStore?.(view);
  }

  descriptor(view: BigUint64Array, index: number, value: bigint): void {
    Atomics.store(view, index, value);
    this.count++;
    this.#onStore?.(view);
  }
}
