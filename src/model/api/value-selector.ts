/** Selector fields: must parse; global() only where it has a meaning (spec/selectors.md 8). */
import { parseSelector, SelectorSyntaxError } from '../selector/parser.js';
import { usesGlobal } from '../selector/transform.js';
import { text } from './schema.js';

/**
 * Why the text is no selector for such a field. Syntax errors give the offset in bytes. The parser remembers
 * what it parsed, so that repeated selectors cost a look-up.
 */
function selectorProblem(value: string, globalAllowed: boolean): string | undefined {
  try {
    const use = usesGlobal(parseSelector(value));
    if (use === 'no') return undefined;
    if (!globalAllowed) return "uses global(), which only a rule's namespaceSelector can";
    return use === 'alone' ? undefined : 'combines global() with other terms';
  } catch (error) {
    if (error instanceof SelectorSyntaxError) return `is not a selector: ${error.message}`;
    throw error;
  }
}

/** Any selector without global(). Empty text never gets here: it means the field is absent. */
export const selector = text((value) => selectorProblem(value, false), 'a selector');

/** A rule's namespaceSelector: may be global(), alone. */
export const ruleNamespaceSelector = text(
  (value) => selectorProblem(value, true),
  'a selector, or global()',
);
