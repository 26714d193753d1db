import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Interner } from './interner.js';

describe('Interner', () => {
  test('gives each held key one id of its own, and never more ids than keys were held at once', () => {
    const step = fc.record({ isAcquire: fc.boolean(), key: fc.constantFrom('a', 'b', 'c', 'd') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const interner = new Interner<string>();
        const held = new Map<string, { readonly id: number; references: number }>();
        let most = 0;
        for (const { isAcquire, key } of steps) {
          const known = held.get(key);
          if (isAcquire) {
            const id = interner.acquire(key);
            if (known !== undefined) {
              expect(id).toBe(known.id);
              known.references++;
            } else held.set(key, { id, references: 1 });
          } else if (known !== undefined) {
            known.references--;
            expect(interner.release(known.id)).toBe(known.references === 0);
            if (known.references === 0) held.delete(key);
          }
          most = Math.max(most, held.size);
          expect(interner.size).toBe(held.size);
          expect(new Set([...held.values()].map(({ id }) => id)).size).toBe(held.size);
          for (const [k, { id }] of held) {
            expect([interner.idOf(k), interner.keyOf(id)]).toEqual([id, k]);
          }
        }
        expect(interner.idsEnd).toBe(most);
      }),
    );
  });

  test('releasing what nobody holds is a bug', () => {
    const interner = new Interner<string>();
    const id = interner.acquire('a');
    expect(interner.release(id)).toBe(true);
    expect(() => interner.release(id)).toThrow('nobody held it');
    expect([interner.idOf('a'), interner.keyOf(id)]).toEqual([undefined, undefined]);
  });
});
