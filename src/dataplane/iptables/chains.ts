/** Chains of one table as text, and the sets that their rules name. */
import { createHash } from 'node:crypto';
import type { SetUse } from './set-use.js';

/** What begins the names of all of our chains, and of no one else's. */
export const CHAIN_PREFIX = 'mgy-';

export interface Chain {
  /** At most 28 bytes. */
  readonly name: string;
  /** Each as it stands after '-A NAME '. */
  readonly rules: readonly string[];
  readonly sets: readonly SetUse[];
}

/** A name that is the same for equal parts. */
export function chainName(tag: string, ...parts: readonly unknown[]): string {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  return `${CHAIN_PREFIX}${tag}-${digest}`;
}

/** A match and what follows it; no match: always. */
export const rule = (match: string, action: string): string =>
  match === '' ? action : `${match} ${action}`;
