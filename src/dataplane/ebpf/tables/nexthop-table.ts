import type { IpFamily } from '../../../base/net/ip.js';
import { mgyNh } from '../abi.gen.js';
import { familyOf, networkWords, parseAddress } from './address.js';
import type { IndexPool } from './index-pool.js';
import { NEXTHOP_GATEWAY, NEXTHOP_WORDS } from './policy-maps.js';

/** Where packets for remote workloads leave this host. */
export interface NextHop {
  readonly ifindex: number;
  /** null: on link; of a tunnel: as the host routes to its end. */
  readonly gateway: string | null;
  /** Packets are encapsulated on their way there: addresses of both ends, this host's and the other's. */
  readonly tunnel?: { readonly source: string; readonly destination: string };
}

/** Hands out records of mgy_nh or mgy_nh6, one per next hop; each acquire() has one release(). 0: the host's routing. */
export interface NextHopAllocator {
  acquire(hop: NextHop | null): number;
  release(hop: NextHop | null): void;
}

/**
 * The words of its record, by which hops are equal; addresses in network order. An address of another family than
 * the record's counts as none, and there are no tunnels for IPv6.
 */
export function nextHopWords(hop: NextHop, family: IpFamily): Uint32Array {
  const words = new Uint32Array(NEXTHOP_WORDS[family]);
  const set = (text: string | null | undefined, at: number): void => {
    const address = text ? parseAddress(text) : null;
    if (address !== null && familyOf(address) === family) words.set(networkWords(address), at);
  };
  words[0] = hop.ifindex;
  set(hop.gateway, NEXTHOP_GATEWAY[family]);
  if (family === 4) {
    set(hop.tunnel?.destination, mgyNh.offset.tun_dst / 4);
    set(hop.tunnel?.source, mgyNh.offset.tun_src / 4);
  }
  return words;
}

/** Interned, reference-counted records of one family. Record 0 means: leave it to the host's routing. */
export class NextHopTable implements NextHopAllocator {
  readonly #view: Uint32Array;
  readonly #pool: IndexPool;
  readonly #family: IpFamily;
  readonly #records = new Map<string, { readonly index: number; references: number }>();

  /** The pool must have index 0 reserved. */
  constructor(view: Uint32Array, family: IpFamily, pool: IndexPool) {
    this.#view = view;
    this.#family = family;
    this.#pool = pool;
  }

  acquire(hop: NextHop | null): number {
    if (hop === null) return 0;
    const words = nextHopWords(hop, this.#family);
    const key = words.join(' ');
    const known = this.#records.get(key);
    if (known !== undefined) {
      known.references++;
      return known.index;
    }
    const index = this.#pool.allocate();
    this.#view.set(words, index * words.length);
    this.#records.set(key, { index, references: 1 });
    return index;
  }

  release(hop: NextHop | null): void {
    if (hop === null) return;
    const key = nextHopWords(hop, this.#family).join(' ');
    const record = this.#records.get(key);
    if (record === undefined || --record.references > 0) return;
    this.#records.delete(key);
    this.#pool.free(record.index);
  }
}
