/**
 * Which selectors match which classes of labelled items, told as it changes. Items with equal own labels and equal
 * parents (profiles, whose labels they inherit) are one class, and selectors are evaluated once per class. Knows how
 * many items a class has, not which: whoever holds the items keeps them in `members`.
 *
 * Restrictions that a selector puts on labels narrow both searches: the selectors a class could match, and
 * the classes a selector could match. So a change costs what it touches, never items x selectors.
 */
import {
  EffectiveLabels,
  EMPTY_LABELS,
  type Labels,
  type LabelView,
  type OwnLabels,
} from './effective-labels.js';
import { LabelledClasses } from './labelled-classes.js';
import { MultiMap } from './multi-map.js';
import { type IndexedSelector, SelectorCandidates } from './selector-candidates.js';

/** A list of parents that some class has, and their labels: namespaces have many classes, and one list. */
interface ParentList {
  readonly key: string;
  readonly names: readonly string[];
  /** Replaced, never changed. */
  labels: readonly Labels[];
  users: number;
}

export interface LabelClass<Selector, Members> {
  readonly key: string;
  readonly own: OwnLabels;
  readonly parents: ParentList;
  readonly members: Members;
  users: number;
  /** Own and inherited. */
  labels: LabelView;
  /** Selectors that match now. With fewer than two it is shared by all such classes. */
  matches: ReadonlySet<Selector>;
}

export interface ClassListener<Selector, Members> {
  /** Who comes into a class or leaves it is told by whoever does that. */
  onMatchStarted(selector: Selector, group: LabelClass<Selector, Members>): void;
  onMatchStopped(selector: Selector, group: LabelClass<Selector, Members>): void;
}

export class LabelClasses<Selector, Members> {
  readonly #listener: ClassListener<Selector, Members>;
  readonly #newMembers: () => Members;
  readonly #byKey = new Map<string, LabelClass<Selector, Members>>();
  readonly #byParent = new MultiMap<string, LabelClass<Selector, Members>>();
  readonly #byLabel = new LabelledClasses<LabelClass<Selector, Members>>();
  readonly #parentLists = new Map<string, ParentList>();
  readonly #parents = new Map<string, Labels>();
  readonly #selectors = new Map<Selector, IndexedSelector>();
  readonly #candidates = new SelectorCandidates<Selector>();
  /** Matches of classes that one selector matches. */
  readonly #only = new Map<Selector, ReadonlySet<Selector>>();
  readonly #bySelector = new MultiMap<Selector, LabelClass<Selector, Members>>();

  constructor(newMembers: () => Members, listener: ClassListener<Selector, Members>) {
    this.#newMembers = newMembers;
    this.#listener = listener;
  }

  /** The class of one more item; nothing is told of it. Each has one release(). */
  acquire(own: OwnLabels, parents: readonly string[]): LabelClass<Selector, Members> {
    const parentsKey = parents.join(SEPARATOR);
    const key = classKey(own, parentsKey);
    const known = this.#byKey.get(key);
    const group = known ?? this.#open(key, own, this.#listOf(parentsKey, parents));
    group.users++;
    return group;
  }

  release(group: LabelClass<Selector, Members>): void {
    group.users--;
    if (group.users > 0) return;
    this.#byKey.delete(group.key);
    this.#byLabel.remove(group);
    for (const parent of group.parents.names) this.#byParent.delete(parent, group);
    for (const id of group.matches) this.#bySelector.delete(id, group);
    if (--group.parents.users === 0) this.#parentLists.delete(group.parents.key);
  }

  /** Labels that items listing this parent inherit; null when the parent does not exist. */
  updateParent(name: string, labels: Labels | null): void {
    if (labels === null || labels.size === 0) this.#parents.delete(name);
    else this.#parents.set(name, labels);
    const groups = [...this.#byParent.get(name)];
    for (const parents of new Set(groups.map((group) => group.parents))) {
      parents.labels = this.#labelsOf(parents.names);
    }
    for (const group of groups) this.#relabel(group);
  }

  updateSelector(id: Selector, selector: IndexedSelector): void {
    const replaced = this.#selectors.has(id) ? this.#candidates.remove(id) : undefined;
    this.#selectors.set(id, selector);
    const demand = this.#candidates.add(id, selector.restrictions);
    this.#byLabel.acquire(demand);
    this.#byLabel.release(replaced);
    const before = new Set(this.#bySelector.get(id));
    const after = new Set<LabelClass<Selector, Members>>();
    for (const group of this.#byLabel.candidates(demand)) {
      if (selector.matches(group.labels)) after.add(group);
    }
    for (const group of after) if (!before.has(group)) this.#startMatch(id, group);
    for (const group of before) if (!after.has(group)) this.#stopMatch(id, group);
  }

  removeSelector(id: Selector): void {
    if (!this.#selectors.delete(id)) return;
    this.#byLabel.release(this.#candidates.remove(id));
    for (const group of [...this.#bySelector.get(id)]) this.#stopMatch(id, group);
    this.#only.delete(id);
  }

  /** Not to be kept while anything changes. */
  matchedBy(id: Selector): Iterable<LabelClass<Selector, Members>> {
    return this.#bySelector.get(id);
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      classes: this.#byKey.size,
      classParents: this.#byParent.size,
      classLabels: this.#byLabel.size,
      parents: this.#parents.size,
      parentLists: this.#parentLists.size,
      selectors: this.#selectors.size,
      selectorKeys: this.#candidates.size,
      matchingSelectors: this.#bySelector.size,
      onlyMatches: this.#only.size,
    };
  }

  #open(key: string, own: OwnLabels, parents: ParentList): LabelClass<Selector, Members> {
    const labels = new EffectiveLabels(own, parents.labels);
    const matches = this.#evaluate(labels);
    const members = this.#newMembers();
    const group = { key, own, parents, members, users: 0, labels, matches };
    parents.users++;
    this.#byKey.set(key, group);
    this.#byLabel.add(group);
    for (const parent of parents.names) this.#byParent.add(parent, group);
    for (const id of matches) this.#bySelector.add(id, group);
    return group;
  }

  #listOf(key: string, names: readonly string[]): ParentList {
    const known = this.#parentLists.get(key);
    if (known !== undefined) return known;
    const made = { key, names, labels: this.#labelsOf(names), users: 0 };
    this.#parentLists.set(key, made);
    return made;
  }

  #labelsOf(parents: readonly string[]): readonly Labels[] {
    return parents.map((parent) => this.#parents.get(parent) ?? EMPTY_LABELS);
  }

  /** Starts first, so that what is brought by several selectors does not go in between. */
  #relabel(group: LabelClass<Selector, Members>): void {
    const before = group.matches;
    this.#byLabel.remove(group);
    group.labels = new EffectiveLabels(group.own, group.parents.labels);
    this.#byLabel.add(group);
    const after = this.#evaluate(group.labels);
    group.matches = after;
    for (const id of after) if (!before.has(id)) this.#tellStarted(id, group);
    for (const id of before) if (!after.has(id)) this.#tellStopped(id, group);
  }

  #evaluate(labels: LabelView): ReadonlySet<Selector> {
    const matches = new Set<Selector>();
    for (const id of this.#candidates.candidates(labels)) {
      if (this.#selectors.get(id)?.matches(labels)) matches.add(id);
    }
    return this.#shared(matches);
  }

  /** Most classes have few matches, and a Set of its own is larger than all else that is known of a class. */
  #shared(matches: ReadonlySet<Selector>): ReadonlySet<Selector> {
    if (matches.size > 1) return matches;
    for (const id of matches) {
      const known = this.#only.get(id);
      if (known === undefined) this.#only.set(id, matches);
      return known ?? matches;
    }
    return NONE;
  }

  #startMatch(id: Selector, group: LabelClass<Selector, Members>): void {
    const { matches } = group;
    if (matches.size > 1) (matches as Set<Selector>).add(id);
    else group.matches = this.#shared(new Set([...matches, id]));
    this.#tellStarted(id, group);
  }

  #stopMatch(id: Selector, group: LabelClass<Selector, Members>): void {
    const { matches } = group;
    if (matches.size > 2) (matches as Set<Selector>).delete(id);
    else group.matches = this.#shared(new Set([...matches].filter((other) => other !== id)));
    this.#tellStopped(id, group);
  }

  #tellStarted(id: Selector, group: LabelClass<Selector, Members>): void {
    this.#bySelector.add(id, group);
    this.#listener.onMatchStarted(id, group);
  }

  #tellStopped(id: Selector, group: LabelClass<Selector, Members>): void {
    this.#bySelector.delete(id, group);
    this.#listener.onMatchStopped(id, group);
  }
}

const NONE: ReadonlySet<never> = new Set();
const SEPARATOR = '\u0000';

/**
 * Labels in the order in which they were written: sorted, equal labels in different orders would share a class, but
 * each of a million updates would pay for it, and writers sort already. Joined, so that it is one piece.
 */
function classKey(own: OwnLabels, parentsKey: string): string {
  return [own.join(SEPARATOR), parentsKey].join('\u0001');
}
