/**
 * Selectors by what they demand of labels: which of them are worth evaluating against a set of labels. Each is
 * filed under its most selective demand, or under none. A superset of the answer, never less.
 */
import type { Restrictions } from '../model/selector/restrictions.js';
import type { LabelView } from './effective-labels.js';
import { MultiMap } from './multi-map.js';

export interface IndexedSelector {
  readonly restrictions: Restrictions;
  matches(labels: LabelView): boolean;
}

/** Where a selector is filed: under values of a label, under a label, or (undefined) nowhere. */
export interface Demand {
  readonly label: string;
  readonly values: ReadonlySet<string> | undefined;
}

export class SelectorCandidates<Id> {
  readonly #demands = new Map<Id, Demand | undefined>();
  readonly #unrestricted = new Set<Id>();
  readonly #byLabel = new MultiMap<string, Id>();
  readonly #byValue = new Map<string, MultiMap<string, Id>>();

  get size(): number {
    return this.#demands.size;
  }

  /** Returns where it is filed. */
  add(id: Id, restrictions: Restrictions): Demand | undefined {
    const demand = strongestDemand(restrictions);
    this.#demands.set(id, demand);
    if (demand === undefined) this.#unrestricted.add(id);
    else if (demand.values === undefined) this.#byLabel.add(demand.label, id);
    else {
      const byValue = this.#byValue.get(demand.label) ?? new MultiMap<string, Id>();
      for (const value of demand.values) byValue.add(value, id);
      // A label that may have no value at all ('in {}') leaves nothing to file.
      if (byValue.size > 0) this.#byValue.set(demand.label, byValue);
    }
    return demand;
  }

  /** Returns where it was filed. */
  remove(id: Id): Demand | undefined {
    const demand = this.#demands.get(id);
    this.#demands.delete(id);
    if (demand === undefined) this.#unrestricted.delete(id);
    else if (demand.values === undefined) this.#byLabel.delete(demand.label, id);
    else {
      const byValue = this.#byValue.get(demand.label);
      for (const value of demand.values) byValue?.delete(value, id);
      if (byValue?.size === 0) this.#byValue.delete(demand.label);
    }
    return demand;
  }

  /** Each at most once: a label has one value, and a selector is filed under one label. */
  *candidates(labels: LabelView): Generator<Id> {
    yield* this.#unrestricted;
    for (const [label, value] of labels) {
      yield* this.#byLabel.get(label);
      const byValue = this.#byValue.get(label);
      if (byValue !== undefined) yield* byValue.get(value);
    }
  }
}

/** Values before mere presence, fewer values before more; undefined when nothing is demanded. */
export function strongestDemand(restrictions: Restrictions): Demand | undefined {
  let best: Demand | undefined;
  for (const [label, { values }] of restrictions) {
    if (values === undefined) {
      best ??= { label, values: undefined };
    } else if (best?.values === undefined || values.size < best.values.size) {
      best = { label, values };
    }
  }
  return best;
}
