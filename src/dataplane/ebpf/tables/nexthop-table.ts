import type { IndexPool } from './index-pool.js';
import { networkWord, parseAddress4 } from './ipv4.js';
import { NEXTHOP_WORDS } from './policy-maps.js';

/** Where packets for remote workloads leave this host. */
export interface NextHop {
  readonly ifindex: number;
  /** null: on link; of a tunnel: as the host routes to its end. */
  readonly gateway: string | null;
  /** Packets are encapsulated on their way there: addresses of both ends, this host's and the other's. */
  readonly tunnel?: { readonly source: string; readonly destination: string };
}

/** The words of its record, by which hops are equal; addresses in network order. */
export function hopWords({ ifindex, gateway, tunnel }: NextHop): readonly number[] {
  const word = (address: string | null | undefined): number =>
    address ? networkWord(parseAddress4(address) ?? 0) : 0;
  return [ifindex, word(gateway), word(tunnel?.destination), word(tunnel?.source)];
}

/** Hands out records of mgy_nh, one per next hop; each acquire() has one release(). 0: the host's routing. */
export interface NextHopAllocator {
  acquire(hop: NextHop | null): number;
  release(hop: NextHop | null): void;
}

/** Interned, reference-counted records of mgy_nh. Record 0 means: leave it to the host's routing. */
export class NextHopTable implements NextHopAllocator {
  readonly #view: Uint32Array;
  readonly #pool: IndexPool;
  readonly #records = new Map<string, { readonly index: number; references: number }>();

  /** The pool must have index 0 reserved. */
  constructor(view: Uint32Array, pool: IndexPool) {
    this.#view = view;
    this.#pool = pool;
  }

  acquire(hop: NextHop | null): number {
    if (hop === null) return 0;
    const key = keyOf(hop);
    const known = this.#records.get(key);
    if (known !== undefined) {
      known.references++;
      return known.index;
    }
    const index = this.#pool.allocate();
    this.#view.set(hopWords(hop), index * NEXTHOP_WORDS);
    this.#records.set(key, { index, references: 1 });
    return index;
  }

  release(hop: NextHop | null): void {
    if (hop === null) return;
    const record = this.#records.get(keyOf(hop));
    if (record === undefined || --record.references > 0) return;
    this.#records.delete(keyOf(hop));
    this.#pool.free(record.index);
  }
}

const keyOf = (hop: NextHop): string => hopWords(hop).join(' ');
