/**
 * Classes of items by their effective labels: which of them a selector could match. A superset, never less.
 * Only labels that some selector makes demands of are filed: most labels (a pod's template hash, say) are never
 * asked about, and filing them would cost more than all else that is known of a class.
 */
import type { LabelView } from './effective-labels.js';
import type { Demand } from './selector-candidates.js';

interface Labelled {
  readonly labels: LabelView;
}

interface LabelHolders<Class> {
  readonly all: Set<Class>;
  readonly byValue: Map<string, Set<Class>>;
  /** Selectors whose demand is of this label. */
  demands: number;
}

export class LabelledClasses<Class extends Labelled> {
  readonly #all = new Set<Class>();
  readonly #byLabel = new Map<string, LabelHolders<Class>>();

  /** Labels that are filed. */
  get size(): number {
    return this.#byLabel.size;
  }

  /** Its labels must not change while it is here. */
  add(group: Class): void {
    this.#all.add(group);
    for (const [label, holders] of this.#byLabel) file(holders, label, group);
  }

  remove(group: Class): void {
    this.#all.delete(group);
    for (const [label, holders] of this.#byLabel) {
      const value = group.labels.get(label);
      if (value === undefined) continue;
      holders.all.delete(group);
      const same = holders.byValue.get(value);
      same?.delete(group);
      if (same?.size === 0) holders.byValue.delete(value);
    }
  }

  /** Each has one release(). The first of a label costs a look at every class. */
  acquire(demand: Demand | undefined): void {
    if (demand === undefined) return;
    let holders = this.#byLabel.get(demand.label);
    if (holders === undefined) {
      holders = { all: new Set(), byValue: new Map(), demands: 0 };
      this.#byLabel.set(demand.label, holders);
      for (const group of this.#all) file(holders, demand.label, group);
    }
    holders.demands++;
  }

  release(demand: Demand | undefined): void {
    if (demand === undefined) return;
    const holders = this.#byLabel.get(demand.label);
    if (holders === undefined) return;
    holders.demands--;
    if (holders.demands === 0) this.#byLabel.delete(demand.label);
  }

  /** The demand must be held. */
  *candidates(demand: Demand | undefined): Generator<Class> {
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

function file<Class extends Labelled>(
  holders: LabelHolders<Class>,
  label: string,
  group: Class,
): void {
  const value = group.labels.get(label);
  if (value === undefined) return;
  holders.all.add(group);
  const same = holders.byValue.get(value);
  if (same === undefined) holders.byValue.set(value, new Set([group]));
  else same.add(group);
}
