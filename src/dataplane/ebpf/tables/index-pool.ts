import { type TableName, TableFullError } from './table-full-error.js';

/** Counts commits. What a commit frees carries its number and is reusable only after a grace period. */
export class Epochs {
  current = 1;
}

/**
 * Hands out the indexes of one table. A freed index may still be held by a packet that is being judged, so
 * it waits until the caller has seen an RCU grace period pass.
 */
export class IndexPool {
  readonly #table: TableName;
  readonly #capacity: number;
  readonly #epochs: Epochs;
  readonly #onReclaim: (index: number) => void;
  readonly #free: number[] = [];
  readonly #pending: { readonly index: number; readonly epoch: number }[] = [];
  readonly #reserved: number;
  #next: number;

  constructor(
    table: TableName,
    options: {
      readonly capacity: number;
      readonly epochs: Epochs;
      /** The first indexes, never handed out. */
      readonly reserved?: number;
      readonly onReclaim?: (index: number) => void;
    },
  ) {
    this.#table = table;
    this.#capacity = options.capacity;
    this.#epochs = options.epochs;
    this.#onReclaim = options.onReclaim ?? (() => {});
    this.#reserved = options.reserved ?? 0;
    this.#next = this.#reserved;
  }

  /** The last index freed, else the next never used: indexes stay dense. Throws TableFullError. */
  allocate(): number {
    const reused = this.#free.pop();
    if (reused !== undefined) return reused;
    if (this.#next >= this.#capacity) throw new TableFullError(this.#table, this.#capacity);
    return this.#next++;
  }

  free(index: number): void {
    this.#pending.push({ index, epoch: this.#epochs.current });
  }

  reclaim(epoch: number): void {
    let done = 0;
    for (const { index, epoch: freed } of this.#pending) {
      if (freed > epoch) break;
      this.#onReclaim(index);
      this.#free.push(index);
      done++;
    }
    this.#pending.splice(0, done);
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Pending ones included, reserved ones not. */
  get used(): number {
    return this.#next - this.#reserved - this.#free.length;
  }
}
