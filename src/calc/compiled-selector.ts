/** A selector as the label indexes take it: evaluated over maps of effective labels. */
import type { Selector } from '../model/selector/parser.js';
import { type Restrictions, restrictionsOf } from '../model/selector/restrictions.js';
import type { Labels } from './effective-labels.js';

export class CompiledSelector {
  /** Equal for equal canonical texts. */
  readonly uid: string;
  readonly restrictions: Restrictions;
  readonly #selector: Selector;

  constructor(selector: Selector) {
    this.#selector = selector;
    this.uid = selector.uid;
    this.restrictions = restrictionsOf(selector.ast);
  }

  matches(labels: Labels): boolean {
    return this.#selector.evaluate((name) => labels.get(name));
  }
}
