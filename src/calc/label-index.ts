/**
 * Which selectors match which labelled items, told as it changes. Items inherit labels from parents
 * (profiles): own labels win, then the parents in list order (spec/selectors.md 7).
 *
 * Items with equal own labels and equal parents form one class, and selectors are evaluated once per class.
 * Restrictions that a selector puts on labels narrow both searches: the selectors a class could match, and
 * the classes a selector could match. So a change costs what it touches, never items x selectors.
 */
import { EMPTY_LABELS, inheritLabels, type Labels } from './effective-labels.js';
import { LabelledClasses } from './labelled-classes.js';
import { MultiMap } from './multi-map.js';
import { type IndexedSelector, SelectorCandidates } from './selector-candidates.js';

export interface LabelledItem {
  readonly labels: Labels;
  /** Names of what the item inherits from, first wins. A missing one contributes nothing. */
  readonly parents: readonly string[];
}

export interface MatchListener<Selector, Item> {
  onMatchStarted(selector: Selector, item: Item): void;
  onMatchStopped(selector: Selector, item: Item): void;
}

interface LabelClass<Selector, Item> {
  readonly key: string;
  readonly own: Labels;
  readonly parents: readonly string[];
  readonly items: Set<Item>;
  /** Effective: own and inherited. */
  labels: Labels;
  matches: Set<Selector>;
}

export class LabelIndex<Selector, Item> {
  readonly #listener: MatchListener<Selector, Item>;
  readonly #classByItem = new Map<Item, LabelClass<Selector, Item>>();
  readonly #classByKey = new Map<string, LabelClass<Selector, Item>>();
  readonly #classesByParent = new MultiMap<string, LabelClass<Selector, Item>>();
  readonly #classesByLabel = new LabelledClasses<LabelClass<Selector, Item>>();
  readonly #parents = new Map<string, Labels>();
  readonly #selectors = new Map<Selector, IndexedSelector>();
  readonly #candidates = new SelectorCandidates<Selector>();
  readonly #classesBySelector = new MultiMap<Selector, LabelClass<Selector, Item>>();

  constructor(listener: MatchListener<Selector, Item>) {
    this.#listener = listener;
  }

  updateItem(item: Item, { labels, parents }: LabelledItem): void {
    const before = this.#classByItem.get(item);
    const key = classKey(labels, parents);
    if (before?.key === key) return;
    const after = this.#classByKey.get(key) ?? this.#openClass(key, labels, parents);
    after.items.add(item);
    this.#classByItem.set(item, after);
    this.#tellItem(item, before?.matches ?? NONE, after.matches);
    if (before !== undefined) this.#leaveClass(before, item);
  }

  removeItem(item: Item): void {
    const before = this.#classByItem.get(item);
    if (before === undefined) return;
    this.#classByItem.delete(item);
    this.#tellItem(item, before.matches, NONE);
    this.#leaveClass(before, item);
  }

  /** Labels that items listing this parent inherit; null when the parent does not exist. */
  updateParent(name: string, labels: Labels | null): void {
    if (labels === null || labels.size === 0) this.#parents.delete(name);
    else this.#parents.set(name, labels);
    for (const group of this.#classesByParent.get(name)) this.#relabel(group);
  }

  updateSelector(id: Selector, selector: IndexedSelector): void {
    const replaced = this.#selectors.has(id) ? this.#candidates.remove(id) : undefined;
    this.#selectors.set(id, selector);
    const demand = this.#candidates.add(id, selector.restrictions);
    this.#classesByLabel.acquire(demand);
    this.#classesByLabel.release(replaced);
    const before = new Set(this.#classesBySelector.get(id));
    const after = new Set<LabelClass<Selector, Item>>();
    for (const group of this.#classesByLabel.candidates(demand)) {
      if (selector.matches(group.labels)) after.add(group);
    }
    for (const group of after) if (!before.has(group)) this.#startMatch(id, group);
    for (const group of before) if (!after.has(group)) this.#stopMatch(id, group);
  }

  removeSelector(id: Selector): void {
    if (!this.#selectors.delete(id)) return;
    this.#classesByLabel.release(this.#candidates.remove(id));
    for (const group of [...this.#classesBySelector.get(id)]) this.#stopMatch(id, group);
  }

  /** Selectors that match the item now. */
  selectorsOf(item: Item): ReadonlySet<Selector> {
    return this.#classByItem.get(item)?.matches ?? NONE;
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      items: this.#classByItem.size,
      classes: this.#classByKey.size,
      classParents: this.#classesByParent.size,
      classLabels: this.#classesByLabel.size,
      parents: this.#parents.size,
      selectors: this.#selectors.size,
      selectorKeys: this.#candidates.size,
      matchingSelectors: this.#classesBySelector.size,
    };
  }

  #openClass(key: string, own: Labels, parents: readonly string[]): LabelClass<Selector, Item> {
    const labels = this.#effective(own, parents);
    const matches = this.#evaluate(labels);
    const group = { key, own, parents, items: new Set<Item>(), labels, matches };
    this.#classByKey.set(key, group);
    this.#classesByLabel.add(group);
    for (const parent of parents) this.#classesByParent.add(parent, group);
    for (const id of matches) this.#classesBySelector.add(id, group);
    return group;
  }

  #leaveClass(group: LabelClass<Selector, Item>, item: Item): void {
    group.items.delete(item);
    if (group.items.size > 0) return;
    this.#classByKey.delete(group.key);
    this.#classesByLabel.remove(group);
    for (const parent of group.parents) this.#classesByParent.delete(parent, group);
    for (const id of group.matches) this.#classesBySelector.delete(id, group);
  }

  #relabel(group: LabelClass<Selector, Item>): void {
    const before = group.matches;
    this.#classesByLabel.remove(group);
    group.labels = this.#effective(group.own, group.parents);
    this.#classesByLabel.add(group);
    const after = this.#evaluate(group.labels);
    group.matches = after;
    for (const id of after) this.#classesBySelector.add(id, group);
    for (const id of before) if (!after.has(id)) this.#classesBySelector.delete(id, group);
    for (const item of group.items) this.#tellItem(item, before, after);
  }

  #effective(own: Labels, parents: readonly string[]): Labels {
    return inheritLabels(
      own,
      parents.map((parent) => this.#parents.get(parent) ?? EMPTY_LABELS),
    );
  }

  #evaluate(labels: Labels): Set<Selector> {
    const matches = new Set<Selector>();
    for (const id of this.#candidates.candidates(labels)) {
      if (this.#selectors.get(id)?.matches(labels)) matches.add(id);
    }
    return matches;
  }

  #startMatch(id: Selector, group: LabelClass<Selector, Item>): void {
    group.matches.add(id);
    this.#classesBySelector.add(id, group);
    for (const item of group.items) this.#listener.onMatchStarted(id, item);
  }

  #stopMatch(id: Selector, group: LabelClass<Selector, Item>): void {
    group.matches.delete(id);
    this.#classesBySelector.delete(id, group);
    for (const item of group.items) this.#listener.onMatchStopped(id, item);
  }

  /** Starts first, so that what counts references does not fall to zero in between. */
  #tellItem(item: Item, before: ReadonlySet<Selector>, after: ReadonlySet<Selector>): void {
    for (const id of after) if (!before.has(id)) this.#listener.onMatchStarted(id, item);
    for (const id of before) if (!after.has(id)) this.#listener.onMatchStopped(id, item);
  }
}

const NONE: ReadonlySet<never> = new Set();

/** Equal for equal labels and parents, whatever the order in which the labels were written. */
function classKey(labels: Labels, parents: readonly string[]): string {
  const pairs = [...labels].map(([name, value]) => `${name}\u0001${value}`);
  return `${pairs.sort().join('\u0000')}\u0002${parents.join('\u0000')}`;
}
