/**
 * Numbers by small whole numbers, four bytes each. For hundreds of thousands of things that are numbered densely: a
 * Map takes ten times as much, and the garbage collector walks all of it.
 */
export class IntColumn {
  readonly #absent: number;
  #values: Int32Array;

  /** @param absent What is read where nothing was set. All values are signed 32-bit. */
  constructor(absent: number) {
    this.#absent = absent;
    this.#values = new Int32Array(64).fill(absent);
  }

  get(index: number): number {
    return this.#values[index] ?? this.#absent;
  }

  set(index: number, value: number): void {
    if (index >= this.#values.length) this.#grow(index);
    this.#values[index] = value;
  }

  #grow(index: number): void {
    const before = this.#values;
    this.#values = new Int32Array(Math.max(index + 1, before.length * 2));
    this.#values.set(before);
    this.#values.fill(this.#absent, before.length);
  }
}
