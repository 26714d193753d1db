/** Canonical text and unique id (spec/selectors.md 6). */
import { createHash } from 'node:crypto';
import type { SelectorNode } from './ast.js';

const quoted = (value: string): string => (value.includes('"') ? `'${value}'` : `"${value}"`);

export function canonicalText(node: SelectorNode): string {
  switch (node.type) {
    case 'all':
    case 'global':
      return `${node.type}()`;
    case 'has':
      return `has(${node.label})`;
    case 'compare':
      return `${node.label} ${node.op} ${quoted(node.value)}`;
    case 'set':
      return `${node.label} ${node.op} {${node.values.map(quoted).join(', ')}}`;
    case 'not':
      return `!${canonicalText(node.operand)}`;
    case 'and':
    case 'or':
      return `(${node.operands.map(canonicalText).join(node.type === 'and' ? ' && ' : ' || ')})`;
    default:
      return node satisfies never;
  }
}

/** By bytes of UTF-8: not the order of UTF-16 units beyond the basic plane. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

const digest = (text: string): string => createHash('sha224').update(text).digest('base64url');

/** Of a selector's canonical text. */
export function uidOf(canonical: string): string {
  return `s:${digest(`s:${canonical}`)}`;
}

/** Of a named port on the endpoints that a selector with this uid matches. */
export function namedPortUid(
  uid: string,
  protocol: 'tcp' | 'udp' | 'sctp' | 'any',
  portName: string,
): string {
  return `n:${digest(`n:${uid},${protocol},${portName}`)}`;
}
