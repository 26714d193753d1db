/**
 * Selectors by what they demand of labels: which of them are worth evaluating against a set of labels. Each is
 * filed under its most selective demand, or under none. A superset of the answer, never less.
 */
import type { Restrictions } from '../model/selector/restrictions.js';
import type { Labels } from './effective-labels.js';

export interface IndexedSelector {
  readonly restrictions: Restrictions;
  matches(labels: Labels): boolean;
}

/** Where a selector is filed: under values of a label, under a label, or (undefined) nowhere. */
export interface Demand {
  readonly label: string;
  readonly values: ReadonlySet<string> | undefined;
}

export class SelectorCandidates<Id> {
  readonly #demands = new Map<Id, Demand | undefined>();
  readonly #unrestricted = new Set<Id>();
  readonly #byLabel = new Map<string, Set<Id>>();
  readonly #byValue = new Map<string, Map<string, Set<Id>>>();

  get size(): number {
    return this.#demands.size;
  }

  add(id: Id, restrictions: Restrictions): void {
    const demand = strongestDemand(restrictions);
    this.#demands.set(id, demand);
    if (demand === undefined) this.#unrestricted.add(id);
    else if (demand.values === undefined) nested(this.#byLabel, demand.label, newSet).add(id);
    else {
      const byValue = nested(this.#byValue, demand.label, newMap<string, Set<Id>>);
      for (const value of demand.values) nested(byValue, value, newSet).add(id);
    }
  }

  remove(id: Id): void {
    const demand = this.#demands.get(id);
    this.#demands.delete(id);
    if (demand === undefined) {
      this.#unrestricted.delete(id);
      return;
    }
    if (demand.values === undefined) {
      prune(this.#byLabel, demand.label, id);
      return;
    }
    const byValue = this.#byValue.get(demand.label);
    if (byValue === undefined) return;
    for (const value of demand.values) prune(byValue, value, id);
    if (byValue.size === 0) this.#byValue.delete(demand.label);
  }

  /** Each at most once: a label has one value, and a selector is filed under one label. */
  *candidates(labels: Labels): Generator<Id> {
    yield* this.#unrestricted;
    for (const [label, value] of labels) {
      yield* this.#byLabel.get(label) ?? [];
      yield* this.#byValue.get(label)?.get(value) ?? [];
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

const newSet = <Value>(): Set<Value> => new Set();
const newMap = <Key, Value>(): Map<Key, Value> => new Map();

function nested<Key, Value>(map: Map<Key, Value>, key: Key, create: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}

function prune<Key, Value>(map: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const values = map.get(key);
  values?.delete(value);
  if (values?.size === 0) map.delete(key);
}
