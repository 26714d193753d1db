/**
 * What a label must be like for a selector to match at all: lets an index narrow candidates without evaluating.
 * Sound, not complete: an object that breaks a restriction never matches; one that keeps them all may still not.
 */
import type { SelectorNode } from './ast.js';

export interface Restriction {
  /** The label must be there ... */
  readonly present: true;
  /** ... and, if given, be one of these. */
  readonly values?: ReadonlySet<string>;
}

export type Restrictions = ReadonlyMap<string, Restriction>;

const NONE: Restrictions = new Map();

const single = (label: string, values?: ReadonlySet<string>): Restrictions =>
  new Map([[label, values === undefined ? { present: true } : { present: true, values }]]);

export function restrictionsOf(node: SelectorNode): Restrictions {
  switch (node.type) {
    case 'has':
      return single(node.label);
    case 'compare':
      if (node.op === '!=') return NONE;
      return single(node.label, node.op === '==' ? new Set([node.value]) : undefined);
    case 'set':
      return node.op === 'in' ? single(node.label, new Set(node.values)) : NONE;
    case 'and':
      return node.operands.map(restrictionsOf).reduce(both, NONE);
    case 'or':
      return node.operands.map(restrictionsOf).reduce(either);
    case 'not':
      return ofNegation(node.operand);
    default:
      return NONE;
  }
}

/** The negative operators, negated, are the positive ones. */
function ofNegation(operand: SelectorNode): Restrictions {
  if (operand.type === 'not') return restrictionsOf(operand.operand);
  if (operand.type === 'compare' && operand.op === '!=')
    return single(operand.label, new Set([operand.value]));
  if (operand.type === 'set' && operand.op === 'not in')
    return single(operand.label, new Set(operand.values));
  return NONE;
}

function both(a: Restrictions, b: Restrictions): Restrictions {
  const merged = new Map(a);
  for (const [label, restriction] of b) {
    const other = merged.get(label);
    if (other?.values === undefined) merged.set(label, restriction);
    else if (restriction.values !== undefined) {
      const { values } = other;
      merged.set(label, {
        present: true,
        values: new Set([...restriction.values].filter((value) => values.has(value))),
      });
    }
  }
  return merged;
}

/** Only what both sides demand, with the values of either. */
function either(a: Restrictions, b: Restrictions): Restrictions {
  const merged = new Map<string, Restriction>();
  for (const [label, restriction] of a) {
    const other = b.get(label);
    if (other === undefined) continue;
    const values =
      restriction.values && other.values
        ? new Set([...restriction.values, ...other.values])
        : undefined;
    merged.set(label, values === undefined ? { present: true } : { present: true, values });
  }
  return merged;
}
