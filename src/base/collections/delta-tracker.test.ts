import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DeltaTracker } from './delta-tracker.js';

const key = fc.nat({ max: 4 });
const value = fc.nat({ max: 2 });
const entries = fc.array(fc.tuple(key, value), { maxLength: 5 });
const step = fc.oneof(
  fc.record({ op: fc.constantFrom('setDesired', 'setActual'), key, value }),
  fc.record({ op: fc.constantFrom('deleteDesired', 'deleteActual'), key }),
  fc.record({ op: fc.constantFrom('replaceDesired', 'replaceActual'), entries }),
);

describe('DeltaTracker', () => {
  test('has at hand what comparing the two sides would find', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const tracker = new DeltaTracker<number, number>();
        const desired = new Map<number, number>();
        const actual = new Map<number, number>();
        for (const step of steps) {
          const side = step.op.endsWith('Desired') ? desired : actual;
          if ('entries' in step) {
            tracker[step.op as 'replaceDesired'](step.entries);
            side.clear();
            for (const [k, v] of step.entries) side.set(k, v);
          } else if ('value' in step) {
            tracker[step.op as 'setDesired'](step.key, step.value);
            side.set(step.key, step.value);
          } else {
            tracker[step.op as 'deleteDesired'](step.key);
            side.delete(step.key);
          }
          const updates = [...desired].filter(([k, v]) => actual.get(k) !== v);
          const deletes = [...actual].filter(([k]) => !desired.has(k));
          expect([...tracker.pendingUpdates()].sort()).toEqual(updates.sort());
          expect([...tracker.pendingDeletes()].sort()).toEqual(deletes.sort());
          expect(tracker.pendingCount).toBe(updates.length + deletes.length);
          expect(tracker.isInSync).toBe(updates.length + deletes.length === 0);
        }
        expect(new Map(tracker.desired)).toEqual(desired);
        expect(new Map(tracker.actual)).toEqual(actual);
      }),
    );
  });

  test('what is done while iterating is done, what fails stays', () => {
    const tracker = new DeltaTracker<string, number>();
    tracker.replaceActual([
      ['old', 1],
      ['stuck', 2],
    ]);
    tracker.replaceDesired([
      ['new', 3],
      ['bad', 4],
    ]);
    for (const [k, v] of tracker.pendingUpdates()) if (k !== 'bad') tracker.setActual(k, v);
    for (const [k] of tracker.pendingDeletes()) if (k !== 'stuck') tracker.deleteActual(k);
    expect([...tracker.pendingUpdates()]).toEqual([['bad', 4]]);
    expect([...tracker.pendingDeletes()]).toEqual([['stuck', 2]]);
  });

  test('values are compared as told', () => {
    const tracker = new DeltaTracker<string, { readonly n: number }>({
      isEqual: (a, b) => a.n === b.n,
    });
    tracker.setDesired('a', { n: 1 });
    tracker.setActual('a', { n: 1 });
    expect(tracker.isInSync).toBe(true);
    tracker.setActual('a', { n: 2 });
    expect([...tracker.pendingUpdates()]).toEqual([['a', { n: 1 }]]);
  });
});
