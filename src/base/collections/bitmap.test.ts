import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Bitmap } from './bitmap.js';

const member = fc.oneof(fc.nat({ max: 70 }), fc.nat({ max: 2_000 }));
const members = fc.array(member, { maxLength: 60 });
const ascending = (set: ReadonlySet<number>): number[] => [...set].sort((a, b) => a - b);

describe('Bitmap', () => {
  test('holds what a set holds', () => {
    fc.assert(
      fc.property(members, members, (added, deleted) => {
        const bitmap = new Bitmap(added);
        const set = new Set(added);
        for (const member of deleted) {
          bitmap.delete(member);
          set.delete(member);
        }
        expect([...bitmap]).toEqual(ascending(set));
        expect(bitmap.size).toBe(set.size);
        expect(bitmap.isEmpty).toBe(set.size === 0);
        expect(bitmap.first()).toBe(ascending(set)[0] ?? -1);
        for (const member of [...added, ...deleted]) {
          expect(bitmap.has(member)).toBe(set.has(member));
        }
      }),
    );
  });

  test('combines as sets do, whichever is larger, and leaves the other alone', () => {
    fc.assert(
      fc.property(members, members, (left, right) => {
        const [a, b] = [new Set(left), new Set(right)];
        const other = new Bitmap(right);
        const combined = (op: 'and' | 'or' | 'andNot'): number[] => [
          ...new Bitmap(left)[op](other),
        ];
        expect(combined('and')).toEqual(ascending(new Set([...a].filter((x) => b.has(x)))));
        expect(combined('or')).toEqual(ascending(new Set([...a, ...b])));
        expect(combined('andNot')).toEqual(ascending(new Set([...a].filter((x) => !b.has(x)))));
        expect(new Bitmap(left).intersects(other)).toBe([...a].some((x) => b.has(x)));
        expect([...other]).toEqual(ascending(b));
        expect(new Bitmap(left).equals(other)).toBe(`${ascending(a)}` === `${ascending(b)}`);
      }),
    );
  });

  test('room and copies do not matter', () => {
    const large = new Bitmap([3, 5_000]);
    const copy = large.clone();
    large.delete(5_000);
    expect(large.equals(new Bitmap([3]))).toBe(true);
    expect([...copy]).toEqual([3, 5_000]);
    copy.clear();
    expect([copy.isEmpty, copy.has(1_000_000)]).toEqual([true, false]);
    expect([...new Bitmap([31, 32, 63])]).toEqual([31, 32, 63]);
  });
});
