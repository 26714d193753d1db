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

/** For sort(): by bytes of UTF-8, which is by code point and not by UTF-16 unit. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all that fit one unit, those from 0xe000 on included. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
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
