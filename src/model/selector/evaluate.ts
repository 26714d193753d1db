/** A total function from labels to true or false (spec/selectors.md 5). */
import type { SelectorNode } from './ast.js';

/** The label's value; undefined when the object does not have it. An empty string is a value. */
export type LabelLookup = (name: string) => string | undefined;

export function evaluateNode(node: SelectorNode, labels: LabelLookup): boolean {
  switch (node.type) {
    case 'all':
    case 'global':
      return true;
    case 'has':
      return labels(node.label) !== undefined;
    case 'compare':
      return compare(node, labels(node.label));
    case 'set': {
      const value = labels(node.label);
      const isMember = value !== undefined && node.values.includes(value);
      return isMember === (node.op === 'in');
    }
    case 'not':
      return !evaluateNode(node.operand, labels);
    case 'and':
      return node.operands.every((operand) => evaluateNode(operand, labels));
    case 'or':
      return node.operands.some((operand) => evaluateNode(operand, labels));
    default:
      return node satisfies never;
  }
}

function compare(
  { op, value: wanted }: Extract<SelectorNode, { readonly type: 'compare' }>,
  value: string | undefined,
): boolean {
  if (value === undefined) return op === '!=';
  switch (op) {
    case '==':
      return value === wanted;
    case '!=':
      return value !== wanted;
    case 'contains':
      return value.includes(wanted);
    case 'starts with':
      return value.startsWith(wanted);
    case 'ends with':
      return value.endsWith(wanted);
    default:
      return op satisfies never;
  }
}
