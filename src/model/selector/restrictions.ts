/**
 * What a label must be like for a selector to match at all: lets an index narrow candidates without evaluating.
 * Sound, not complete: an object that breaks a restriction never matches; one that keeps them all may still not.
 */
import type { SelectorNode } from './ast.js';

export interface Restriction {
  /** The label must be there ... */
  readonly present: true;
  /** ... and, if given, be one of these. Empty: nothing matches. */
  readonly values?: ReadonlySet<string>;
}

export type Restrictions = ReadonlyMap<string, Restriction>;

/**
 * Restrictions being put together: the values, or null for mere presence. Whoever gets one owns it and may
 * change it. Merging always walks the smaller of two, so that a selector of 64 KiB, however nested, costs
 * n log n and not n squared.
 */
type Draft = Map<string, Set<string> | null>;

export function restrictionsOf(node: SelectorNode): Restrictions {
  const restrictions = new Map<string, Restriction>();
  for (const [label, values] of draftOf(node, { isNegated: false })) {
    restrictions.set(label, values === null ? { present: true } : { present: true, values });
  }
  return restrictions;
}

/** Negation is pushed down to the leaves, where a negative operator negated is a positive one. */
function draftOf(node: SelectorNode, how: { readonly isNegated: boolean }): Draft {
  switch (node.type) {
    case 'has':
      return how.isNegated ? new Map() : new Map([[node.label, null]]);
    case 'compare':
      return comparison(node, how.isNegated);
    case 'set':
      return (node.op === 'in') === how.isNegated
        ? new Map()
        : new Map([[node.label, new Set(node.values)]]);
    case 'not':
      return draftOf(node.operand, { isNegated: !how.isNegated });
    case 'and':
    case 'or': {
      const merge = (node.type === 'and') === how.isNegated ? either : both;
      return node.operands.map((operand) => draftOf(operand, how)).reduce(merge);
    }
    default:
      return new Map();
  }
}

function comparison(
  node: Extract<SelectorNode, { readonly type: 'compare' }>,
  isNegated: boolean,
): Draft {
  if (node.op === '==' || node.op === '!=') {
    const isEqual = (node.op === '==') !== isNegated;
    return isEqual ? new Map([[node.label, new Set([node.value])]]) : new Map();
  }
  // Not containing a text is also true of an absent label.
  return isNegated ? new Map() : new Map([[node.label, null]]);
}

/** What either demands; where both name values, those in both. */
function both(a: Draft, b: Draft): Draft {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  for (const [label, values] of small) {
    const others = large.get(label);
    large.set(label, values && others ? intersection(values, others) : (values ?? others ?? null));
  }
  return large;
}

/** Only what both demand, with the values of either. */
function either(a: Draft, b: Draft): Draft {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  for (const [label, values] of small) {
    const others = large.get(label);
    if (others === undefined) small.delete(label);
    else small.set(label, values && others ? union(values, others) : null);
  }
  return small;
}

function intersection(a: Set<string>, b: Set<string>): Set<string> {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  for (const value of small) if (!large.has(value)) small.delete(value);
  return small;
}

function union(a: Set<string>, b: Set<string>): Set<string> {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  for (const value of small) large.add(value);
  return large;
}
