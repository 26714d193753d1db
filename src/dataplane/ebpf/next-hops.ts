/**
 * Records of mgy_nh and mgy_nh6 with numbers that last. Entries of the connection table refer to them by number, and outlive
 * both the policy tables and the agent, so the map is shared by all generations and a record keeps its number as
 * long as anybody wants what it says.
 */
import type { IpFamily } from '../../base/net/ip.js';
import { type NextHop, nextHopWords } from './tables/nexthop-table.js';
import { NEXTHOP_WORDS } from './tables/policy-maps.js';

interface Held {
  readonly index: number;
  references: number;
}

/**
 * One per generation and family, over the same memory. A record nobody wants any more gets interface 0, which programs take
 * for "leave it to the host's routing", so old connections go on. Freed numbers are reused in the order they were
 * freed, as late as can be: a connection older than that would be sent to the new next hop.
 */
export class NextHops {
  readonly #view: Uint32Array;
  readonly #family: IpFamily;
  readonly #words: number;
  readonly #byKey = new Map<string, Held>();
  readonly #free: number[] = [];

  /** Takes over what an earlier generation wrote. Record 0 is reserved. */
  constructor(view: Uint32Array, family: IpFamily) {
    this.#view = view;
    this.#family = family;
    this.#words = NEXTHOP_WORDS[family];
    for (let index = 1; index < view.length / this.#words; index++) {
      const at = index * this.#words;
      if (view[at] === 0) {
        this.#free.push(index);
        continue;
      }
      const key = view.subarray(at, at + this.#words).join(' ');
      if (this.#byKey.has(key)) this.#free.push(index);
      else this.#byKey.set(key, { index, references: 0 });
    }
  }

  /** 0, the host's routing, for null and when all records are taken. */
  acquire(hop: NextHop | null): number {
    if (hop === null) return 0;
    const words = nextHopWords(hop, this.#family);
    const key = words.join(' ');
    const held = this.#byKey.get(key);
    if (held !== undefined) {
      held.references++;
      return held.index;
    }
    const index = this.#free.shift();
    if (index === undefined) return 0;
    // A reader either sees no interface, or every word.
    const at = index * this.#words;
    this.#view.set(words.subarray(1), at + 1);
    Atomics.store(this.#view, at, hop.ifindex);
    this.#byKey.set(key, { index, references: 1 });
    return index;
  }

  release(hop: NextHop | null): void {
    if (hop === null) return;
    const key = nextHopWords(hop, this.#family).join(' ');
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
    Atomics.store(this.#view, index * this.#words, 0);
    this.#free.push(index);
  }
}
