/** Classes of items by their effective labels: which of them a selector could match. A superset, never less. */
import type { Restrictions } from '../model/selector/restrictions.js';
import type { Labels } from './effective-labels.js';
import { strongestDemand } from './selector-candidates.js';

interface LabelHolders<Class> {
  readonly all: Set<Class>;
  readonly byValue: Map<string, Set<Class>>;
}

export class LabelledClasses<Class> {
  readonly #all = new Set<Class>();
  readonly #byLabel = new Map<string, LabelHolders<Class>>();

  /** Labels that some class carries. */
  get size(): number {
    return this.#byLabel.size;
  }

  add(group: Class, labels: Labels): void {
    this.#all.add(group);
    for (const [label, value] of labels) {
      let holders = this.#byLabel.get(label);
      if (holders === undefined) {
        holders = { all: new Set(), byValue: new Map() };
        this.#byLabel.set(label, holders);
      }
      holders.all.add(group);
      const same = holders.byValue.get(value);
      if (same === undefined) holders.byValue.set(value, new Set([group]));
      else same.add(group);
    }
  }

  /** With the labels it was added with. */
  remove(group: Class, labels: Labels): void {
    this.#all.delete(group);
    for (const [label, value] of labels) {
      const holders = this.#byLabel.get(label);
      if (holders === undefined) continue;
      holders.all.delete(group);
      const same = holders.byValue.get(value);
      same?.delete(group);
      if (same?.size === 0) holders.byValue.delete(value);
      if (holders.all.size === 0) this.#byLabel.delete(label);
    }
  }

  *candidates(restrictions: Restrictions): Generator<Class> {
    const demand = strongestDemand(restrictions);
    if (demand === undefined) {
      yield* this.#all;
      return;
    }
    const holders = this.#byLabel.get(demand.label);
    if (holders === undefined) return;
    if (demand.values === undefined) yield* holders.all;
    else for (const value of demand.values) yield* holders.byValue.get(value) ?? [];
  }
}
