/** Hands out whole numbers from 0 on, the ones that came back first, so that they stay dense. */
export class NumberPool {
  readonly #free: number[] = [];
  #next = 0;

  /** Numbers that are out. */
  get size(): number {
    return this.#next - this.#free.length;
  }

  take(): number {
    return this.#free.pop() ?? this.#next++;
  }

  /** Must be out. */
  release(number: number): void {
    this.#free.push(number);
  }
}
