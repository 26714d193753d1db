import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MultiMap, RefCountedMultiMap, RefCountedSet } from './multi-map.js';

const key = fc.constantFrom('a', 'b', 'c');
const value = fc.nat({ max: 3 });
const step = fc.record({ op: fc.constantFrom('add', 'delete'), key, value });

describe('MultiMap', () => {
  test('holds the pairs that a list of pairs holds, in the order in which they came', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const map = new MultiMap<string, number>();
        let pairs: (readonly [string, number])[] = [];
        for (const { op, key, value } of steps) {
          const isThere = pairs.some(([k, v]) => k === key && v === value);
          if (op === 'add') {
            expect(map.add(key, value)).toBe(!isThere);
            if (!isThere) pairs.push([key, value]);
          } else {
            expect(map.delete(key, value)).toBe(isThere);
            pairs = pairs.filter(([k, v]) => k !== key || v !== value);
          }
          expect(map.size).toBe(pairs.length);
          expect([...map.get(key)]).toEqual(pairs.filter(([k]) => k === key).map(([, v]) => v));
          expect(new Set(map.keys())).toEqual(new Set(pairs.map(([k]) => k)));
          expect(map.has(key, value)).toBe(op === 'add');
        }
        expect([...map].sort()).toEqual([...pairs].sort());
        expect(map.deleteKey('a')).toBe(pairs.filter(([k]) => k === 'a').length);
        expect([map.hasKey('a'), map.size]).toEqual([
          false,
          pairs.filter(([k]) => k !== 'a').length,
        ]);
      }),
    );
  });
});

describe('reference counts', () => {
  test('say when something comes and when it is gone', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const set = new RefCountedSet<number>();
        const map = new RefCountedMultiMap<string, number>();
        const counts = new Map<string, number>();
        const total = (v: number): number =>
          ['a', 'b', 'c'].reduce((sum, k) => sum + (counts.get(`${k}${v}`) ?? 0), 0);
        for (const { op, key, value } of steps) {
          const count = counts.get(`${key}${value}`) ?? 0;
          const before = total(value);
          if (op === 'add') {
            expect(map.add(key, value)).toBe(count === 0);
            expect(set.add(value)).toBe(before === 0);
            counts.set(`${key}${value}`, count + 1);
          } else if (count === 0) {
            expect(() => map.delete(key, value)).toThrow('nobody held');
          } else {
            expect(map.delete(key, value)).toBe(count === 1);
            expect(set.delete(value)).toBe(before === 1);
            counts.set(`${key}${value}`, count - 1);
          }
          expect(map.count(key, value)).toBe(counts.get(`${key}${value}`) ?? 0);
          expect(set.count(value)).toBe(total(value));
          expect([...map.values(key)].sort()).toEqual(
            [0, 1, 2, 3].filter((v) => (counts.get(`${key}${v}`) ?? 0) > 0),
          );
        }
        const held = [...counts].filter(([, count]) => count > 0);
        expect(map.keyCount).toBe(new Set(held.map(([name]) => name[0])).size);
        expect([...set].sort()).toEqual([0, 1, 2, 3].filter((v) => total(v) > 0));
      }),
    );
    expect(() => new RefCountedSet().delete(1)).toThrow('nobody held');
  });
});
