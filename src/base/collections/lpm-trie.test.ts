import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Cidr, compareCidr } from '../net/cidr.js';
import { ip4, ip6 } from '../net/ip.js';
import { LpmTrie } from './lpm-trie.js';

/** Few distinct bits, so that prefixes nest, fork and meet. */
const word = fc.constantFrom(
  0,
  0x80000000,
  0xc0000000,
  0x80000001,
  0x00000001,
  0xffffffff,
  0x0a000000,
);
const length = fc.constantFrom(0, 1, 2, 3, 4, 8, 30, 31, 32);
const cidr = fc.oneof(
  fc.tuple(word, length).map(([a, n]) => new Cidr(ip4(a), n)),
  fc
    .tuple(word, word, length, fc.constantFrom(0, 32, 64, 96))
    .map(([a, b, n, more]) => new Cidr(ip6(a, b, b, a), n + more)),
);
const step = fc.record({ op: fc.constantFrom('set', 'set', 'delete'), cidr, value: fc.nat() });

const texts = (entries: Iterable<readonly [Cidr, number]>): string[] =>
  Array.from(entries, ([key, value]) => `${key} ${value}`);

describe('LpmTrie', () => {
  test('answers as a list of prefixes that is searched from end to end', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), cidr, (steps, probe) => {
        const trie = new LpmTrie<number>();
        const list = new Map<string, readonly [Cidr, number]>();
        for (const { op, cidr, value } of steps) {
          const key = cidr.masked();
          if (op === 'set') {
            trie.set(cidr, value);
            list.set(String(key), [key, value]);
          } else expect(trie.delete(cidr)).toBe(list.delete(String(key)));
          expect(trie.get(cidr)).toBe(list.get(String(key))?.[1]);
          expect(trie.has(cidr)).toBe(list.has(String(key)));
          expect(trie.size).toBe(list.size);
        }
        const sorted = [...list.values()].sort(([a], [b]) => compareCidr(a, b));
        const covering = sorted
          .filter(([key]) => key.contains(probe))
          .sort(([a], [b]) => a.prefixLength - b.prefixLength);
        expect(texts(trie)).toEqual(texts(sorted));
        expect(texts(trie.covering(probe))).toEqual(texts(covering));
        expect(texts(trie.covered(probe))).toEqual(
          texts(sorted.filter(([key]) => probe.contains(key))),
        );
        expect(trie.longestMatch(probe)?.join(' ')).toBe(covering.at(-1)?.join(' '));
        const addressed = sorted.filter(([key]) => key.containsIp(probe.address));
        expect(trie.longestMatch(probe.address)?.[0].prefixLength ?? -1).toBe(
          Math.max(-1, ...addressed.map(([key]) => key.prefixLength)),
        );
        for (const [key] of sorted) expect(trie.delete(key)).toBe(true);
        expect([...trie]).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  test('undefined is a value', () => {
    const trie = new LpmTrie<undefined>();
    const key = new Cidr(ip4(0), 8);
    trie.set(key, undefined);
    expect([trie.has(key), trie.size, trie.longestMatch(ip4(5))?.[0]]).toEqual([true, 1, key]);
    trie.clear();
    expect([trie.has(key), trie.size]).toEqual([false, 0]);
  });
});
