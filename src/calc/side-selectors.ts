/**
 * One side of a rule as selectors over effective labels (spec/policy.md 9.5, 9.6): everything that must hold of
 * one endpoint or set is one expression, so that it is judged object by object.
 */
import { parseSelector, type Selector } from '../model/selector/parser.js';
import {
  allOf,
  inNamespace,
  namespaceView,
  negated,
  serviceAccountNamed,
  serviceAccountView,
} from '../model/selector/transform.js';
import { CompiledSelector } from './compiled-selector.js';
import type { EntityRule } from './stored-objects.js';

export interface SideSelectors {
  /** The address must be contributed by something that matches. */
  readonly inside: CompiledSelector | undefined;
  /** The address must not be contributed by anything that matches: a lone notSelector without namespace. */
  readonly outside: CompiledSelector | undefined;
  /** On which endpoints named ports are looked up: the positive part alone. */
  readonly endpoints: CompiledSelector;
}

/** `namespace` is the policy's own; null for global policies and for profiles. */
export function sideSelectors(entity: EntityRule, namespace: string | null): SideSelectors {
  const selector = parsed(entity.selector);
  const notSelector = parsed(entity.notSelector);
  const accounts = accountTerms(entity);
  const criteria = selector.length + notSelector.length + accounts.length;
  const namespaces = parsed(entity.namespaceSelector).map(namespaceView);
  const confined = namespaces.length === 0 && namespace !== null && criteria > 0;
  const own = confined ? [inNamespace(namespace)] : [];
  const positive = [...own, ...namespaces, ...accounts, ...selector];
  const endpoints = new CompiledSelector(allOf(positive));
  const [not] = notSelector;
  if (positive.length === 0) {
    const outside = not === undefined ? undefined : new CompiledSelector(not);
    return { inside: undefined, outside, endpoints };
  }
  const inside =
    not === undefined ? endpoints : new CompiledSelector(allOf([...positive, negated(not)]));
  return { inside, outside: undefined, endpoints };
}

function accountTerms({ serviceAccounts }: EntityRule): readonly Selector[] {
  const names = serviceAccounts?.names ?? [];
  return [
    ...(names.length === 0 ? [] : [serviceAccountNamed(names)]),
    ...parsed(serviceAccounts?.selector).map(serviceAccountView),
  ];
}

/** None for the empty text, else one. */
function parsed(text: string | undefined): readonly Selector[] {
  return text === undefined || text === '' ? [] : [parseSelector(text)];
}
