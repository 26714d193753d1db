import type { IndexPool } from './index-pool.js';
import { L4_END, L4_SLOT_STARTS, type L4Position, lastAtMost } from './l4-space.js';
import type { Stores } from './stores.js';

/** A class was cut in two: the new one must behave like the old one before a page shows it. */
export interface L4Split {
  readonly made: number;
  readonly from: number;
}

/**
 * Classes of protocol and port: the intervals between the boundaries that rules in force draw. Source and
 * destination ports share them. Cutting and joining intervals never changes a verdict by itself.
 */
export class L4Classes {
  readonly #view: Uint16Array;
  readonly #pool: IndexPool;
  readonly #stores: Stores;
  /** Ascending; interval i runs from starts[i] to starts[i + 1] - 1 and is class ids[i]. */
  readonly #starts: L4Position[] = [];
  readonly #ids: number[] = [];
  readonly #references = new Map<L4Position, number>();
  readonly #fresh = new Set<L4Position>();
  readonly #dead = new Set<L4Position>();
  /** Classes no longer shown, which a packet being judged may still hold, and where they were. */
  readonly #retired = new Map<number, L4Position>();
  /** What all() says, until it changes: every block that is built asks. */
  #listed: readonly (readonly [id: number, position: L4Position])[] | null = null;
  /** Classes whose interval may not be shown as it is. */
  readonly #unshown = new Set<number>();

  constructor(view: Uint16Array, pool: IndexPool, stores: Stores) {
    this.#view = view;
    this.#pool = pool;
    this.#stores = stores;
    for (const start of L4_SLOT_STARTS) {
      this.#starts.push(start);
      this.#ids.push(pool.allocate());
      this.#references.set(start, 1);
    }
    // Nothing reads the tables yet: no store needs to be announced.
    for (const [i, id] of this.#ids.entries()) {
      view.fill(id, this.#starts[i], this.#starts[i + 1] ?? L4_END);
    }
  }

  acquire(boundaries: Iterable<L4Position>): void {
    for (const boundary of boundaries) {
      const references = this.#references.get(boundary) ?? 0;
      this.#references.set(boundary, references + 1);
      if (references === 0 && !this.#dead.delete(boundary)) this.#fresh.add(boundary);
    }
  }

  release(boundaries: Iterable<L4Position>): void {
    for (const boundary of boundaries) {
      const references = (this.#references.get(boundary) ?? 0) - 1;
      if (references > 0) this.#references.set(boundary, references);
      else {
        this.#references.delete(boundary);
        if (!this.#fresh.delete(boundary)) this.#dead.add(boundary);
      }
    }
  }

  /** Cuts at new boundaries, in memory only. Splits are in order: a later one may be of a new class. */
  split(): L4Split[] {
    const splits: L4Split[] = [];
    if (this.#fresh.size > 0) this.#listed = null;
    for (const boundary of [...this.#fresh].sort((a, b) => a - b)) {
      const i = this.#intervalAt(boundary);
      const from = this.#ids[i] ?? 0;
      const made = this.#pool.allocate();
      // The smaller part gets the new class: fewer stores.
      const first = boundary - (this.#starts[i] ?? 0) < this.#endOf(i) - boundary;
      this.#starts.splice(i + 1, 0, boundary);
      this.#ids.splice(i, 1, ...(first ? [made, from] : [from, made]));
      this.#unshown.add(made);
      splits.push({ made, from });
      this.#fresh.delete(boundary);
    }
    return splits;
  }

  /** Joins intervals whose boundary no rule in force draws any more, in memory only. */
  join(): void {
    if (this.#dead.size > 0) this.#listed = null;
    for (const boundary of this.#dead) {
      const right = this.#intervalAt(boundary);
      const left = right - 1;
      const leftId = this.#ids[left] ?? 0;
      const rightId = this.#ids[right] ?? 0;
      const leftLonger = boundary - (this.#starts[left] ?? 0) >= this.#endOf(right) - boundary;
      const [kept, gone] = leftLonger ? [leftId, rightId] : [rightId, leftId];
      this.#retired.set(gone, this.#starts[leftLonger ? right : left] ?? 0);
      this.#starts.splice(right, 1);
      this.#ids.splice(left, 2, kept);
      this.#unshown.delete(gone);
      this.#unshown.add(kept);
      this.#pool.free(gone);
    }
    this.#dead.clear();
  }

  /** Makes the pages show the intervals. */
  show(): void {
    if (this.#unshown.size === 0) return;
    for (const [i, id] of this.#ids.entries()) {
      if (!this.#unshown.has(id)) continue;
      const end = this.#endOf(i);
      for (let at = this.#starts[i] ?? 0; at < end; at++) {
        if (this.#view[at] !== id) this.#stores.word(this.#view, at, id);
      }
    }
    this.#unshown.clear();
  }

  forget(id: number): void {
    this.#listed = null;
    this.#retired.delete(id);
  }

  /** Each class a packet may carry with one position of it. */
  all(): readonly (readonly [id: number, position: L4Position])[] {
    this.#listed ??= [
      ...this.#ids.map((id, i) => [id, this.#starts[i] ?? 0] as const),
      ...this.#retired,
    ];
    return this.#listed;
  }

  /** The class the pages show. */
  shownAt(position: L4Position): number {
    return this.#view[position] ?? 0;
  }

  /** One more than the highest id in use. */
  get span(): number {
    let span = 0;
    for (const [id] of this.all()) span = Math.max(span, id + 1);
    return span;
  }

  #endOf(interval: number): L4Position {
    return this.#starts[interval + 1] ?? L4_END;
  }

  #intervalAt(position: L4Position): number {
    return lastAtMost(this.#starts, position);
  }
}
