import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GenerationCache } from './generation-cache.js';

describe('GenerationCache', () => {
  test('never holds more than it may, nor a value that is not the last one set', () => {
    const key = fc.nat({ max: 12 });
    const step = fc.record({ isSet: fc.boolean(), key });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.array(step), (entriesMax, steps) => {
        const cache = new GenerationCache<number, string>(entriesMax);
        const last = new Map<number, string>();
        steps.forEach(({ isSet, key }, i) => {
          if (isSet) {
            last.delete(key);
            last.set(key, `value ${i}`);
            cache.set(key, `value ${i}`);
            expect(cache.get(key)).toBe(`value ${i}`);
          } else expect([undefined, last.get(key)]).toContain(cache.get(key));
          expect(cache.size).toBeLessThanOrEqual(entriesMax);
        });
      }),
    );
  });

  test('what is used stays', () => {
    const cache = new GenerationCache<number, string>(8);
    for (let i = 0; i < 100; i++) {
      cache.set(i, `${i}`);
      cache.set(-1, cache.get(-1) ?? 'kept');
      if (i > 0) expect(cache.get(i - 1)).toBe(`${i - 1}`);
    }
    expect(cache.get(-1)).toBe('kept');
    expect(cache.get(5)).toBeUndefined();
  });
});
