/** All IPReservations together: addresses that are never assigned automatically (spec/ipam.md 6.7). Pure. */
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { type IpFamily, ipToBigInt } from '../base/net/ip.js';

interface Interval {
  readonly family: IpFamily;
  readonly first: bigint;
  readonly last: bigint;
}

function larger(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

const intervalOf = (cidr: Cidr): Interval => {
  const first = ipToBigInt(cidr.masked().address);
  return { family: cidr.family, first, last: first + cidr.size() - 1n };
};

export class Reservations {
  /** In order, without overlap or touching neighbours. */
  readonly #intervals: readonly Interval[];

  /** Entries that are no range at all are left out. */
  constructor(texts: Iterable<string>) {
    const intervals = [...texts]
      .map((text) => parseCidr(text.trim(), { allowHostBits: true }))
      .flatMap((cidr) => (cidr === null ? [] : [intervalOf(cidr)]))
      .sort((a, b) => a.family - b.family || (a.first < b.first ? -1 : 1));
    const merged: Interval[] = [];
    for (const interval of intervals) {
      const last = merged.at(-1);
      if (last?.family === interval.family && interval.first <= last.last + 1n) {
        merged[merged.length - 1] = {
          ...last,
          last: larger(interval.last, last.last),
        };
      } else merged.push(interval);
    }
    this.#intervals = merged;
  }

  /** The parts of it that are reserved, in order, as ordinals from its first address. */
  within(cidr: Cidr): readonly { readonly first: bigint; readonly last: bigint }[] {
    const { family, first, last } = intervalOf(cidr);
    return this.#intervals
      .filter((other) => other.family === family && other.first <= last && other.last >= first)
      .map((other) => ({
        first: larger(other.first, first) - first,
        last: smaller(other.last, last) - first,
      }));
  }

  /** Every address of it is reserved. */
  covers(cidr: Cidr): boolean {
    const [only] = this.within(cidr);
    return only !== undefined && only.first === 0n && only.last === cidr.size() - 1n;
  }

  /** How many addresses of it. */
  countIn(cidr: Cidr): bigint {
    return this.within(cidr).reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
  }

  /** A test for the ordinals of a block. */
  inBlock(block: Cidr): (ordinal: number) => boolean {
    const parts = this.within(block).map(
      ({ first, last }) => [Number(first), Number(last)] as const,
    );
    if (parts.length === 0) return () => false;
    return (ordinal) => parts.some(([first, last]) => ordinal >= first && ordinal <= last);
  }
}

export const noReservations = new Reservations([]);
