import type { IpSetId, IpSetKind, IpSetMember } from '../../../model/desired.js';
import {
  formatAddress4,
  maskAddress,
  type Prefix,
  parseAddress4,
  parsePrefix4,
  prefixKey,
} from './ipv4.js';

/** Protocol and port of a named port in one number. */
export type PortKey = number;
export const portKey = (protocol: number, port: number): PortKey => protocol * 65_536 + port;
export const protocolOfPortKey = (key: PortKey): number => Math.floor(key / 65_536);
export const portOfPortKey = (key: PortKey): number => key % 65_536;

/** A set of IPv4 prefixes, asked whether one of them covers an address. */
export class PrefixSet {
  readonly #keys = new Map<number, Prefix>();
  readonly #lengths = new Map<number, number>();

  add(prefix: Prefix): boolean {
    const key = prefixKey(prefix);
    if (this.#keys.has(key)) return false;
    this.#keys.set(key, prefix);
    this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
    return true;
  }

  remove(prefix: Prefix): boolean {
    if (!this.#keys.delete(prefixKey(prefix))) return false;
    const left = (this.#lengths.get(prefix.length) ?? 0) - 1;
    if (left > 0) this.#lengths.set(prefix.length, left);
    else this.#lengths.delete(prefix.length);
    return true;
  }

  contains(address: number): boolean {
    for (const length of this.#lengths.keys()) {
      if (this.#keys.has(prefixKey({ address: maskAddress(address, length), length }))) return true;
    }
    return false;
  }

  has(prefix: Prefix): boolean {
    return this.#keys.has(prefixKey(prefix));
  }

  values(): Iterable<Prefix> {
    return this.#keys.values();
  }

  get size(): number {
    return this.#keys.size;
  }
}

/** A change of membership, in the parts the classes know as atoms. */
export interface MemberChange {
  /** Absent: of the set as such. */
  readonly port?: PortKey;
  readonly prefix: Prefix;
  readonly added: boolean;
}

/** The IPv4 members of one IP set. */
export class IpSet {
  readonly kind: IpSetKind;
  readonly prefixes = new PrefixSet();
  /** Kind 'ip-port': the addresses that define each protocol and port. */
  readonly ports = new Map<PortKey, PrefixSet>();

  constructor(kind: IpSetKind) {
    this.kind = kind;
  }

  /** The IPv4 members as the model writes them. */
  members(): IpSetMember[] {
    const nets = [...this.prefixes.values()].map(
      ({ address, length }) => `${formatAddress4(address)}/${length}`,
    );
    const ports = [...this.ports].flatMap(([key, holders]) =>
      [...holders.values()].map(
        ({ address }) =>
          `${formatAddress4(address)},${protocolOfPortKey(key)}:${portOfPortKey(key)}`,
      ),
    );
    return [...nets, ...ports];
  }

  /** null: no change, or not IPv4. */
  apply(member: IpSetMember, added: boolean): MemberChange | null {
    return this.kind === 'net' ? this.#applyNet(member, added) : this.#applyPort(member, added);
  }

  #applyNet(member: IpSetMember, added: boolean): MemberChange | null {
    const prefix = parsePrefix4(member);
    if (prefix === null) return null;
    const changed = added ? this.prefixes.add(prefix) : this.prefixes.remove(prefix);
    return changed ? { prefix, added } : null;
  }

  #applyPort(member: IpSetMember, added: boolean): MemberChange | null {
    const comma = member.indexOf(',');
    const colon = member.indexOf(':', comma);
    const address = parseAddress4(member.slice(0, comma));
    if (comma < 0 || colon < 0 || address === null) return null;
    const port = portKey(Number(member.slice(comma + 1, colon)), Number(member.slice(colon + 1)));
    const prefix = { address, length: 32 };
    const holders = this.ports.get(port) ?? new PrefixSet();
    if (!(added ? holders.add(prefix) : holders.remove(prefix))) return null;
    if (holders.size > 0) this.ports.set(port, holders);
    else this.ports.delete(port);
    return { port, prefix, added };
  }
}

/** Every IP set that was sent, whether or not a rule in force refers to it. */
export class IpSets {
  readonly #sets = new Map<IpSetId, IpSet>();

  get(id: IpSetId): IpSet | undefined {
    return this.#sets.get(id);
  }

  entries(): Iterable<readonly [IpSetId, IpSet]> {
    return this.#sets;
  }

  /** Returns what changed. */
  replace(id: IpSetId, kind: IpSetKind, members: readonly IpSetMember[]): MemberChange[] {
    const before = this.#sets.get(id);
    const after = new IpSet(kind);
    for (const member of members) after.apply(member, true);
    this.#sets.set(id, after);
    return [...missingFrom(before, after, false), ...missingFrom(after, before, true)];
  }

  /** Returns what changed. */
  update(
    id: IpSetId,
    delta: { readonly added: readonly IpSetMember[]; readonly removed: readonly IpSetMember[] },
  ): MemberChange[] {
    const set = this.#sets.get(id);
    if (set === undefined) return [];
    return [
      ...delta.removed.map((member) => set.apply(member, false)),
      ...delta.added.map((member) => set.apply(member, true)),
    ].filter((change) => change !== null);
  }

  /** Returns what changed. */
  remove(id: IpSetId): MemberChange[] {
    const before = this.#sets.get(id);
    this.#sets.delete(id);
    return missingFrom(before, undefined, false);
  }
}

/** The members of one set that the other lacks. */
function missingFrom(
  set: IpSet | undefined,
  other: IpSet | undefined,
  added: boolean,
): MemberChange[] {
  if (set === undefined) return [];
  const changes: MemberChange[] = [];
  for (const prefix of set.prefixes.values()) {
    if (other?.prefixes.has(prefix) !== true) changes.push({ prefix, added });
  }
  for (const [port, holders] of set.ports) {
    const others = other?.ports.get(port);
    for (const prefix of holders.values()) {
      if (others?.has(prefix) !== true) changes.push({ port, prefix, added });
    }
  }
  return changes;
}
