import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { covers, formatAddress, type Prefix, parsePrefix, wholePrefix } from './address.js';
import type { Painted } from './address-trie.js';
import { AddressTrie6 } from './address-trie6.js';
import { Epochs, IndexPool } from './index-pool.js';
import { NODE6_WORDS } from './policy-maps.js';
import { PrefixTree } from './prefix-tree.js';
import { Stores } from './stores.js';

const NODES = 256;

/** Prefixes that nest, meet at the borders of nodes and of words, and stand far apart. */
const PREFIXES = [
  ...['::/0', '::/1', '8000::/1', 'c000::/2', 'fd00::/8', 'fd65::/16', 'fd65::/24', 'fd65::/26'],
  ...['fd65::/48', 'fd65::/62', 'fd65::/64', 'fd65::/66', 'fd65::/68', 'fd65:0:0:1::/64'],
  ...['fd65::/116', 'fd65::/120', 'fd65::/122', 'fd65::40/122', 'fd65::40/123', 'fd65::/126'],
  ...['fd65::/127', 'fd65::/128', 'fd65::1/128', 'fd65::3f/128', 'fd65::40/128', 'fd65::7f/128'],
  ...['fd65:0:0:1::1/128', '2001:db8::1/128', '::/128', '::1/128'],
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128',
].map((text) => parsePrefix(text) as Prefix<bigint>);

const LAST = 2n ** 128n - 1n;
const PROBES = [
  ...new Set(
    PREFIXES.flatMap(({ address, length }) => {
      const end = address + 2n ** BigInt(128 - length) - 1n;
      const before = address === 0n ? 0n : address - 1n;
      return [address, end, before, end === LAST ? LAST : end + 1n];
    }),
  ),
];

/** A trie with its tree, as AddressClasses and Publication use them; and what packets saw between stores. */
class Bed {
  readonly tree = new PrefixTree<Painted>();
  readonly pool: IndexPool;
  readonly trie: AddressTrie6;
  readonly epochs = new Epochs();
  readonly held = new Map<Prefix<bigint>, number>();
  onStore: () => void = () => undefined;

  constructor() {
    this.pool = new IndexPool('nodes6', { capacity: NODES, epochs: this.epochs, reserved: 1 });
    const nodes = new Uint32Array(NODES * NODE6_WORDS);
    const stores = new Stores(() => this.onStore());
    this.trie = new AddressTrie6({ nodes, pool: this.pool, stores });
  }

  /** null: takes the prefix away. */
  set(prefix: Prefix<bigint>, info: number | null): void {
    const node = this.tree.get(prefix);
    if (info === null) {
      this.held.delete(prefix);
      if (node !== null) this.tree.remove(node);
    } else {
      this.held.set(prefix, info);
      this.tree.set(prefix, { info });
    }
    this.trie.paint(this.tree, prefix);
    this.pool.reclaim(this.epochs.current++);
  }

  wanted(address: bigint): number {
    const around = [...this.held].filter(([prefix]) => covers(prefix, wholePrefix(address)));
    return around.sort(([a], [b]) => b.length - a.length)[0]?.[1] ?? 0;
  }

  shown(): string[] {
    return PROBES.map((address) => `${formatAddress(address)} ${this.trie.lookup(address)}`);
  }

  all(): string[] {
    return PROBES.map((address) => `${formatAddress(address)} ${this.wanted(address)}`);
  }
}

const steps = fc.array(
  fc.tuple(fc.constantFrom(...PREFIXES), fc.option(fc.integer({ min: 1, max: 5 }))),
  { maxLength: 40 },
);

describe('the trie of IPv6 addresses', () => {
  test('gives every address the longest prefix, each by one store, and gives its nodes back', () => {
    fc.assert(
      fc.property(steps, (changes) => {
        const bed = new Bed();
        for (const [prefix, info] of changes) {
          const before = bed.shown();
          let seen = before;
          const changed = new Map<number, number>();
          bed.onStore = () => {
            const now = bed.shown();
            for (const [i, text] of now.entries())
              if (text !== seen[i]) changed.set(i, (changed.get(i) ?? 0) + 1);
            seen = now;
          };
          bed.set(prefix, info);
          bed.onStore = () => undefined;
          expect(bed.shown()).toEqual(bed.all());
          expect([...changed.values()].every((times) => times === 1)).toBe(true);
        }
        for (const prefix of PREFIXES) bed.set(prefix, null);
        expect([bed.pool.used, bed.tree.size]).toEqual([0, 0]);
      }),
      { numRuns: 60 },
    );
  });

  test('a block of 64 addresses is one node, and one address more one store', () => {
    const bed = new Bed();
    const block = parsePrefix('fd65::/122') as Prefix<bigint>;
    for (let i = 0n; i < 63n; i++) bed.set({ address: block.address + i, length: 128 }, 1);
    const used = bed.pool.used;
    let stores = 0;
    bed.onStore = () => stores++;
    bed.set({ address: block.address + 63n, length: 128 }, 2);
    expect([used, stores]).toEqual([1, 1]);
  });
});
