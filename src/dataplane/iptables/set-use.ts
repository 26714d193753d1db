/**
 * The IP sets that rules name, said by what is in them: equal contents have equal names, so rules of many policies
 * share a set, and a rule whose criteria change names another one, filled before the rule is there.
 */
import { createHash } from 'node:crypto';
import type { IpFamily, IpSetId, PortRange } from '../../model/desired.js';

/** Addresses: those of an IP set of the calculation, or fixed ones. Canonical CIDRs, of any family. */
export type NetSource = { readonly ipSet: IpSetId } | { readonly nets: readonly string[] };

/** Every address of the source, with each of the ports. */
export interface ProductEntry {
  readonly source: NetSource;
  readonly protocol: number;
  readonly ports: readonly number[];
}

export type SetUse =
  /** hash:net: addresses in any of the sources. */
  | { readonly kind: 'nets'; readonly family: IpFamily; readonly sources: readonly NetSource[] }
  /** hash:net,port: any of the entries. */
  | {
      readonly kind: 'products';
      readonly family: IpFamily;
      readonly entries: readonly ProductEntry[];
    }
  /** hash:net,port: (address, protocol, port) of a named port. */
  | { readonly kind: 'named-port'; readonly family: IpFamily; readonly ipSet: IpSetId }
  /** bitmap:port. */
  | { readonly kind: 'ports'; readonly ranges: readonly PortRange[] };

/** What begins the names of all of our sets, and of no one else's. */
export const SET_PREFIX = 'mgy';

const LETTERS = { nets: 'n', products: 'p', 'named-port': 'q', ports: 'b' } as const;

/** At most 31 bytes. The same for equal uses. */
export function setName(use: SetUse): string {
  const digest = createHash('sha256').update(JSON.stringify(use)).digest('hex').slice(0, 20);
  const family = use.kind === 'ports' ? '' : use.family;
  return `${SET_PREFIX}${family}-${LETTERS[use.kind]}-${digest}`;
}

/** IP sets of the calculation that decide what is in the set. */
export function sourcesOf(use: SetUse): readonly IpSetId[] {
  const idsOf = (source: NetSource): readonly IpSetId[] =>
    'ipSet' in source ? [source.ipSet] : [];
  switch (use.kind) {
    case 'nets':
      return use.sources.flatMap(idsOf);
    case 'products':
      return use.entries.flatMap(({ source }) => idsOf(source));
    case 'named-port':
      return [use.ipSet];
    case 'ports':
      return [];
    default:
      return use satisfies never;
  }
}

export const familyOfText = (text: string): IpFamily => (text.includes(':') ? 6 : 4);

/** Every address of a family. */
export const ANYWHERE: ReadonlySet<string> = new Set(['0.0.0.0/0', '::/0']);
