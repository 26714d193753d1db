/** Who a block belongs to: a host, or a part of the cluster that acts like one. */
import type { AffinityType } from '../model/ipam-paths.js';

export interface Owner {
  readonly type: AffinityType;
  /** The Node's name. */
  readonly host: string;
}

export function hostOwner(host: string): Owner {
  return { type: 'host', host };
}

/** 'host:edge-01' */
export function formatOwner({ type, host }: Owner): string {
  return `${type}:${host}`;
}

/** null: nobody. Text without a known type is of a future version: its own kind of somebody else. */
export function parseOwner(text: string | null): Owner | null {
  if (!text) return null;
  const colon = text.indexOf(':');
  const type = text.slice(0, colon);
  if (type === 'virtual') return { type, host: text.slice(colon + 1) };
  return { type: 'host', host: type === 'host' ? text.slice(colon + 1) : text };
}

export function ownersEqual(a: Owner | null, b: Owner | null): boolean {
  if (a === null || b === null) return a === b;
  return a.type === b.type && a.host === b.host;
}
