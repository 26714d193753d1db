import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { IntColumn } from './int-column.js';
import { NumberList, NumberLists } from './number-lists.js';
import { NumberPool } from './number-pool.js';

describe('IntColumn', () => {
  test('reads what was set, and the absent value elsewhere', () => {
    const column = new IntColumn(-1);
    column.set(0, 5);
    column.set(100_000, 7);
    expect([0, 1, 63, 64, 99_999, 100_000, 1_000_000].map((i) => column.get(i))).toEqual([
      5, -1, -1, -1, -1, 7, -1,
    ]);
  });
});

describe('NumberPool', () => {
  test('a number is out once, and comes again when it came back', () => {
    const pool = new NumberPool();
    expect([pool.take(), pool.take(), pool.take()]).toEqual([0, 1, 2]);
    pool.release(1);
    expect(pool.size).toBe(2);
    expect([pool.take(), pool.take()]).toEqual([1, 3]);
  });
});

describe('NumberLists', () => {
  test('hold what sets would hold', () => {
    const step = fc.record({ number: fc.nat(20), list: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const lists = new NumberLists();
        const heads = [0, 1, 2, 3].map(() => new NumberList());
        const model = new Map<number, number>();
        for (const { number, list } of steps) {
          const before = model.get(number);
          if (before !== undefined) lists.remove(heads[before] as NumberList, number);
          if (before === list) model.delete(number);
          else {
            lists.add(heads[list] as NumberList, number);
            model.set(number, list);
          }
          heads.forEach((head, at) => {
            const expected = [...model].filter(([, where]) => where === at).map(([one]) => one);
            expect([...lists.numbers(head)].sort()).toEqual(expected.sort());
            expect(head.isEmpty).toBe(expected.length === 0);
          });
        }
      }),
    );
  });
});
