/**
 * Records of mgy_nh with numbers that last. Entries of the connection table refer to them by number, and outlive
 * both the policy tables and the agent, so the map is shared by all generations and a record keeps its number as
 * long as anybody wants what it says.
 */
import { hopWords, type NextHop } from './tables/nexthop-table.js';
import { NEXTHOP_WORDS } from './tables/policy-maps.js';

interface Held {
  readonly index: number;
  references: number;
}

/**
 * One per generation, over the same memory. A record nobody wants any more gets interface 0, which programs take
 * for "leave it to the host's routing", so old connections go on. Freed numbers are reused in the order they were
 * freed, as late as can be: a connection older than that would be sent to the new next hop.
 */
export class NextHops {
  readonly #view: Uint32Array;
  readonly #byKey = new Map<string, Held>();
  readonly #free: number[] = [];

  /** Takes over what an earlier generation wrote. Record 0 is reserved. */
  constructor(view: Uint32Array) {
    this.#view = view;
    for (let index = 1; index < view.length / NEXTHOP_WORDS; index++) {
      const [ifindex = 0, ...rest] = view.subarray(
        index * NEXTHOP_WORDS,
        (index + 1) * NEXTHOP_WORDS,
      );
      const key = [ifindex, ...rest].join(' ');
      if (ifindex === 0 || this.#byKey.has(key)) this.#free.push(index);
      else this.#byKey.set(key, { index, references: 0 });
    }
  }

  /** 0, the host's routing, for null and when all records are taken. */
  acquire(hop: NextHop | null): number {
    if (hop === null) return 0;
    const words = hopWords(hop);
    const key = words.join(' ');
    const held = this.#byKey.get(key);
    if (held !== undefined) {
      held.references++;
      return held.index;
    }
    const index = this.#free.shift();
    if (index === undefined) return 0;
    // A reader either sees no interface, or all words.
    this.#view.set(words.slice(1), index * NEXTHOP_WORDS + 1);
    Atomics.store(this.#view, index * NEXTHOP_WORDS, hop.ifindex);
    this.#byKey.set(key, { index, references: 1 });
    return index;
  }

  release(hop: NextHop | null): void {
    if (hop === null) return;
    const key = hopWords(hop).join(' ');
    const held = this.#byKey.get(key);
    if (held === undefined || --held.references > 0) return;
    this.#retire(key, held);
  }

  /** What earlier generations left and this one does not want: once its picture is complete. */
  retireUnused(): void {
    for (const [key, held] of this.#byKey) if (held.references <= 0) this.#retire(key, held);
  }

  get used(): number {
    return this.#byKey.size;
  }

  #retire(key: string, { index }: Held): void {
    this.#byKey.delete(key);
    Atomics.store(this.#view, index * NEXTHOP_WORDS, 0);
    this.#free.push(index);
  }
}
