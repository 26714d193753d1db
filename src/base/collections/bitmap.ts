/** A set of small integers, 32 to a word. Grows as needed; members are 0 to 2^31 - 1. */
export class Bitmap {
  #words: Uint32Array;

  constructor(members: Iterable<number> = []) {
    this.#words = new Uint32Array(4);
    for (const member of members) this.add(member);
  }

  add(member: number): void {
    const index = member >>> 5;
    if (index >= this.#words.length) this.#grow(index + 1);
    this.#words[index] = this.#word(index) | (1 << (member & 31));
  }

  delete(member: number): void {
    const index = member >>> 5;
    if (index < this.#words.length) this.#words[index] = this.#word(index) & ~(1 << (member & 31));
  }

  has(member: number): boolean {
    return ((this.#word(member >>> 5) >>> (member & 31)) & 1) === 1;
  }

  /** Members: counted each time, a word at a step. */
  get size(): number {
    let size = 0;
    for (const word of this.#words) size += bitCount(word);
    return size;
  }

  get isEmpty(): boolean {
    return this.#words.every((word) => word === 0);
  }

  /** Keeps only what the other has too. */
  and(other: Bitmap): this {
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = this.#word(i) & other.#word(i);
    return this;
  }

  /** Adds what the other has. */
  or(other: Bitmap): this {
    if (other.#words.length > this.#words.length) this.#grow(other.#words.length);
    for (let i = 0; i < other.#words.length; i++) this.#words[i] = this.#word(i) | other.#word(i);
    return this;
  }

  /** Takes away what the other has. */
  andNot(other: Bitmap): this {
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = this.#word(i) & ~other.#word(i);
    return this;
  }

  intersects(other: Bitmap): boolean {
    return this.#words.some((word, i) => (word & other.#word(i)) !== 0);
  }

  /** Same members, whatever the room. */
  equals(other: Bitmap): boolean {
    const length = Math.max(this.#words.length, other.#words.length);
    for (let i = 0; i < length; i++) if (this.#word(i) !== other.#word(i)) return false;
    return true;
  }

  clone(): Bitmap {
    const copy = new Bitmap();
    copy.#words = this.#words.slice();
    return copy;
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** The smallest member; -1 if there is none. */
  first(): number {
    const index = this.#words.findIndex((word) => word !== 0);
    return index < 0 ? -1 : index * 32 + lowestBit(this.#word(index));
  }

  /** Ascending. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.#words.length; i++) {
      for (let word = this.#word(i); word !== 0; word = (word & (word - 1)) >>> 0) {
        yield i * 32 + lowestBit(word);
      }
    }
  }

  #word(index: number): number {
    return this.#words[index] ?? 0;
  }

  #grow(wordsMin: number): void {
    const words = new Uint32Array(Math.max(wordsMin, this.#words.length * 2));
    words.set(this.#words);
    this.#words = words;
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** Sums of neighbours in ever wider fields. */
function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
