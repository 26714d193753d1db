/** A selector as the label indexes take it: evaluated over maps of effective labels. */
import type { Selector } from '../model/selector/parser.js';
import { type Restrictions, restrictionsOf } from '../model/selector/restrictions.js';
import type { LabelView } from './effective-labels.js';

/** Costs next to nothing until it is asked. */
export class CompiledSelector {
  readonly #selector: Selector;
  #restrictions: Restrictions | undefined;

  constructor(selector: Selector) {
    this.#selector = selector;
  }

  /** Equal for equal canonical texts. */
  get uid(): string {
    return this.#selector.uid;
  }

  get restrictions(): Restrictions {
    this.#restrictions ??= restrictionsOf(this.#selector.ast);
    return this.#restrictions;
  }

  matches(labels: LabelView): boolean {
    return this.#selector.evaluate((name) => labels.get(name));
  }
}
