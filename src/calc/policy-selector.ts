/** Which endpoints a policy selects, as one selector over effective labels (spec/selectors.md 8, point 4). */
import { parseSelector, type Selector } from '../model/selector/parser.js';
import {
  allMeansHaving,
  allOf,
  inNamespace,
  NAMESPACE_LABEL,
  namespaceView,
  SERVICE_ACCOUNT_LABEL,
  serviceAccountView,
} from '../model/selector/transform.js';
import { CompiledSelector } from './compiled-selector.js';
import type { PolicySpec } from './stored-objects.js';

/** An empty selector is no term at all: it is all endpoints, where all() may come to mean less. */
export function policySelector(policy: {
  readonly namespace: string | null;
  readonly spec: PolicySpec;
}): CompiledSelector {
  const { namespace, spec } = policy;
  const terms = namespace === null ? globalTerms(spec) : namespacedTerms(namespace, spec);
  return new CompiledSelector(allOf(terms));
}

function namespacedTerms(namespace: string, spec: PolicySpec): readonly Selector[] {
  const main = parsed(spec.selector);
  const account = parsed(spec.serviceAccountSelector).map(serviceAccountView);
  return [inNamespace(namespace), ...main, ...account];
}

function globalTerms(spec: PolicySpec): readonly Selector[] {
  let main = parsed(spec.selector);
  const namespaces = parsed(spec.namespaceSelector).map(namespaceView);
  if (namespaces.length > 0) main = main.map((term) => allMeansHaving(term, NAMESPACE_LABEL));
  const accounts = parsed(spec.serviceAccountSelector)
    .map(serviceAccountView)
    .map((term) => allMeansHaving(term, SERVICE_ACCOUNT_LABEL));
  // Where the namespace selector was there first, no all() is left to replace.
  if (accounts.length > 0) main = main.map((term) => allMeansHaving(term, SERVICE_ACCOUNT_LABEL));
  return [...namespaces, ...accounts, ...main];
}

/** None for the empty text, else one. */
function parsed(text: string | undefined): readonly Selector[] {
  return text === undefined || text === '' ? [] : [parseSelector(text)];
}
