import type { IpSetId, IpSetKind, IpSetMember } from '../../../model/desired.js';
import {
  type Address,
  addressBits,
  formatAddress,
  formatPrefix,
  maskAddress,
  type Prefix,
  type PrefixKey,
  parseAddress,
  parsePrefix,
  prefixKey,
  wholePrefix,
} from './address.js';

/** Protocol and port of a named port in one number. */
export type PortKey = number;
export const portKey = (protocol: number, port: number): PortKey => protocol * 65_536 + port;
export const protocolOfPortKey = (key: PortKey): number => Math.floor(key / 65_536);
export const portOfPortKey = (key: PortKey): number => key % 65_536;

/** A set of prefixes of both families, asked whether one of them covers an address. */
export class PrefixSet {
  readonly #keys = new Map<PrefixKey, Prefix>();
  /** How many prefixes there are of each length, by the bits of their family. */
  readonly #lengths = new Map([
    [32, new Map<number, number>()],
    [128, new Map<number, number>()],
  ]);

  add(prefix: Prefix): boolean {
    const key = prefixKey(prefix);
    if (this.#keys.has(key)) return false;
    this.#keys.set(key, prefix);
    const lengths = this.#lengthsOf(prefix.address);
    lengths.set(prefix.length, (lengths.get(prefix.length) ?? 0) + 1);
    return true;
  }

  remove(prefix: Prefix): boolean {
    if (!this.#keys.delete(prefixKey(prefix))) return false;
    const lengths = this.#lengthsOf(prefix.address);
    const left = (lengths.get(prefix.length) ?? 0) - 1;
    if (left > 0) lengths.set(prefix.length, left);
    else lengths.delete(prefix.length);
    return true;
  }

  contains(address: Address): boolean {
    for (const length of this.#lengthsOf(address).keys()) {
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

  #lengthsOf(address: Address): Map<number, number> {
    const lengths = this.#lengths.get(addressBits(address));
    if (lengths === undefined) throw new Error('an address is 32 or 128 bits long');
    return lengths;
  }
}

/** A change of membership, in the parts the classes know as atoms. */
export interface MemberChange {
  /** Absent: of the set as such. */
  readonly port?: PortKey;
  readonly prefix: Prefix;
  readonly added: boolean;
}

/** The members of one IP set. */
export class IpSet {
  readonly kind: IpSetKind;
  readonly prefixes = new PrefixSet();
  /** Kind 'ip-port': the addresses that define each protocol and port. */
  readonly ports = new Map<PortKey, PrefixSet>();

  constructor(kind: IpSetKind) {
    this.kind = kind;
  }

  /** The members as the model writes them. */
  members(): IpSetMember[] {
    const nets = [...this.prefixes.values()].map(formatPrefix);
    const ports = [...this.ports].flatMap(([key, holders]) =>
      [...holders.values()].map(
        ({ address }) =>
          `${formatAddress(address)},${protocolOfPortKey(key)}:${portOfPortKey(key)}`,
      ),
    );
    return [...nets, ...ports];
  }

  /** null: no change, or no address. */
  apply(member: IpSetMember, added: boolean): MemberChange | null {
    return this.kind === 'net' ? this.#applyNet(member, added) : this.#applyPort(member, added);
  }

  #applyNet(member: IpSetMember, added: boolean): MemberChange | null {
    const prefix = parsePrefix(member);
    if (prefix === null) return null;
    const changed = added ? this.prefixes.add(prefix) : this.prefixes.remove(prefix);
    return changed ? { prefix, added } : null;
  }

  #applyPort(member: IpSetMember, added: boolean): MemberChange | null {
    const comma = member.indexOf(',');
    const colon = member.indexOf(':', comma);
    const address = parseAddress(member.slice(0, comma));
    if (comma < 0 || colon < 0 || address === null) return null;
    const port = portKey(Number(member.slice(comma + 1, colon)), Number(member.slice(colon + 1)));
    const prefix = wholePrefix(address);
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
