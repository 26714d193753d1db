/** Other label views of a selector, and selectors made of selectors (spec/selectors.md 8; policy.md 9.5). */
import type { SelectorNode } from './ast.js';
import { compareBytes } from './canonical.js';
import { Selector } from './parser.js';

export const NAMESPACE_LABEL = 'projectcalico.org/namespace';
export const SERVICE_ACCOUNT_LABEL = 'projectcalico.org/serviceaccount';
const NAMESPACE_PREFIX = 'pcns.';
const SERVICE_ACCOUNT_PREFIX = 'pcsa.';

/** Replaces leaves; groups are rebuilt only where something changed. */
function mapLeaves(node: SelectorNode, map: (leaf: SelectorNode) => SelectorNode): SelectorNode {
  if (node.type === 'not') return { type: 'not', operand: mapLeaves(node.operand, map) };
  if (node.type === 'and' || node.type === 'or') {
    return { type: node.type, operands: node.operands.map((operand) => mapLeaves(operand, map)) };
  }
  return map(node);
}

const prefixed = (leaf: SelectorNode, prefix: string): SelectorNode =>
  'label' in leaf ? { ...leaf, label: prefix + leaf.label } : leaf;

const hasLabel = (label: string): SelectorNode => ({ type: 'has', label });

/** Reads labels as a namespace's; all() and global() mean "in some namespace" and "in none". */
export function namespaceView(selector: Selector): Selector {
  return new Selector(
    mapLeaves(selector.ast, (leaf) => {
      if (leaf.type === 'all') return hasLabel(NAMESPACE_LABEL);
      if (leaf.type === 'global') return { type: 'not', operand: hasLabel(NAMESPACE_LABEL) };
      return prefixed(leaf, NAMESPACE_PREFIX);
    }),
  );
}

/** Reads labels as a service account's; all() is left as it is. */
export function serviceAccountView(selector: Selector): Selector {
  return new Selector(mapLeaves(selector.ast, (leaf) => prefixed(leaf, SERVICE_ACCOUNT_PREFIX)));
}

/** Every all() becomes "has this label": policy-level selectors of GlobalNetworkPolicies (8, point 4). */
export function allMeansHaving(selector: Selector, label: string): Selector {
  return new Selector(
    mapLeaves(selector.ast, (leaf) => (leaf.type === 'all' ? hasLabel(label) : leaf)),
  );
}

/** In this very namespace. */
export function inNamespace(namespace: string): Selector {
  return new Selector({ type: 'compare', label: NAMESPACE_LABEL, op: '==', value: namespace });
}

/** One of these service accounts, in whatever namespace. */
export function serviceAccountNamed(names: readonly string[]): Selector {
  const values = [...new Set(names)].sort(compareBytes);
  return new Selector({ type: 'set', label: SERVICE_ACCOUNT_LABEL, op: 'in', values });
}

/** All of them; all() itself when there is none. */
export function allOf(selectors: readonly Selector[]): Selector {
  const [only] = selectors;
  if (selectors.length === 1 && only) return only;
  if (selectors.length === 0) return new Selector({ type: 'all' });
  return new Selector({ type: 'and', operands: selectors.map((selector) => selector.ast) });
}

export function negated(selector: Selector): Selector {
  return new Selector({ type: 'not', operand: selector.ast });
}

/** Is it global() and nothing else, or does global() appear elsewhere (which validation refuses)? */
export function usesGlobal(selector: Selector): 'no' | 'alone' | 'within' {
  if (selector.ast.type === 'global') return 'alone';
  let found = false;
  mapLeaves(selector.ast, (leaf) => {
    found ||= leaf.type === 'global';
    return leaf;
  });
  return found ? 'within' : 'no';
}
