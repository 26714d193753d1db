/** Which selectors match which labelled items, told item by item as it changes. For thousands of items, not more. */
import type { Labels, OwnLabels } from './effective-labels.js';
import { type LabelClass, LabelClasses } from './label-classes.js';
import type { IndexedSelector } from './selector-candidates.js';

export interface LabelledItem {
  readonly labels: OwnLabels;
  /** Names of what the item inherits from, first wins. A missing one contributes nothing. */
  readonly parents: readonly string[];
}

export interface MatchListener<Selector, Item> {
  onMatchStarted(selector: Selector, item: Item): void;
  onMatchStopped(selector: Selector, item: Item): void;
}

type ItemClass<Selector, Item> = LabelClass<Selector, Set<Item>>;

export class LabelIndex<Selector, Item> {
  readonly #listener: MatchListener<Selector, Item>;
  readonly #classes: LabelClasses<Selector, Set<Item>>;
  readonly #classByItem = new Map<Item, ItemClass<Selector, Item>>();

  constructor(listener: MatchListener<Selector, Item>) {
    this.#listener = listener;
    this.#classes = new LabelClasses<Selector, Set<Item>>(() => new Set(), {
      onMatchStarted: (selector, { members }) => {
        for (const item of members) listener.onMatchStarted(selector, item);
      },
      onMatchStopped: (selector, { members }) => {
        for (const item of members) listener.onMatchStopped(selector, item);
      },
    });
  }

  updateItem(item: Item, { labels, parents }: LabelledItem): void {
    const before = this.#classByItem.get(item);
    const after = this.#classes.acquire(labels, parents);
    if (before === after) {
      this.#classes.release(after);
      return;
    }
    after.members.add(item);
    this.#classByItem.set(item, after);
    this.#tellItem(item, before?.matches ?? NONE, after.matches);
    if (before !== undefined) this.#leave(before, item);
  }

  removeItem(item: Item): void {
    const before = this.#classByItem.get(item);
    if (before === undefined) return;
    this.#classByItem.delete(item);
    this.#tellItem(item, before.matches, NONE);
    this.#leave(before, item);
  }

  updateParent(name: string, labels: Labels | null): void {
    this.#classes.updateParent(name, labels);
  }

  updateSelector(id: Selector, selector: IndexedSelector): void {
    this.#classes.updateSelector(id, selector);
  }

  removeSelector(id: Selector): void {
    this.#classes.removeSelector(id);
  }

  sizes(): Readonly<Record<string, number>> {
    return { items: this.#classByItem.size, ...this.#classes.sizes() };
  }

  #leave(group: ItemClass<Selector, Item>, item: Item): void {
    group.members.delete(item);
    this.#classes.release(group);
  }

  /** Starts first, so that what counts references does not fall to zero in between. */
  #tellItem(item: Item, before: ReadonlySet<Selector>, after: ReadonlySet<Selector>): void {
    for (const id of after) if (!before.has(id)) this.#listener.onMatchStarted(id, item);
    for (const id of before) if (!after.has(id)) this.#listener.onMatchStopped(id, item);
  }
}

const NONE: ReadonlySet<never> = new Set();
