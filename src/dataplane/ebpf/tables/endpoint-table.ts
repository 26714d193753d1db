import {
  MGY_INFO_LOCAL_HOST,
  MGY_INFO_LOCAL_WL,
  MGY_INFO_NO_PEER,
  MGY_INFO_READY,
  MGY_INFO_REMOTE_HOST,
  MGY_INFO_REMOTE_WL,
} from '../abi.gen.js';
import { MultiMap } from '../../../base/collections/multi-map.js';
import type { IpFamily } from '../../../base/net/ip.js';
import type { DesiredTier, EndpointId, IpSetId, ProfileId } from '../../../model/desired.js';
import {
  type Address,
  addressBits,
  familyOf,
  formatAddress,
  networkWord4,
  type Prefix,
  type PrefixKey,
  parseAddress,
  parsePrefix,
  prefixKey,
  wholePrefix,
} from './address.js';
import type { AddressClasses } from './address-classes.js';
import type { IndexPool } from './index-pool.js';
import { type AddressFacts, NO_FACTS } from './info-table.js';
import type { IpSets } from './ip-sets.js';
import type { NextHop, NextHopAllocator } from './nexthop-table.js';
import type { PolicySet, PolicySets } from './policy-sets.js';
import { PolicyStore } from './policy-store.js';
import { type LocalUses, localFactsOf } from './rule-terms.js';
import type { Direction } from './traces.js';

/** A workload of this host as the tables need it. */
export interface TableEndpoint {
  /** Bare addresses of both families. */
  readonly addresses: readonly string[];
  readonly tiers: readonly DesiredTier[];
  readonly profiles: readonly ProfileId[];
  /** Host side of the workload's link; 0: not there yet. */
  readonly ifindex: number;
  /** The workload's own, 'ee:ee:ee:ee:ee:ee'; absent: not known. */
  readonly mac?: string;
  /** May be delivered to: programs are attached. */
  readonly ready: boolean;
  /** The link is no veth (a tap, say): packets are delivered through the host's stack. */
  readonly noPeer?: boolean;
}

/** A range of workloads of other hosts. */
export interface RemoteRange {
  /** null: leave it to the host's routing. */
  readonly nextHop: NextHop | null;
  /** Address of the host it lives on. */
  readonly host?: string;
  /** It is that host's own (its end of a tunnel), not its workloads'. */
  readonly isHost?: true;
}

/** Why an endpoint's direction is closed, or an address of it not served. */
export interface EndpointError {
  readonly endpoint: EndpointId;
  readonly direction?: Direction;
  readonly message: string;
}

/** One address of one endpoint: a record of mgy_ep. */
export interface ServedAddress {
  readonly address: Address;
  readonly endpoint: EndpointId;
  /** Index into mgy_ep. */
  readonly index: number;
  ifindex: number;
  uses: readonly LocalUses[];
  want: Readonly<Record<Direction, PolicySet>>;
  /** What packets are judged by; null: nothing leads to the record yet. */
  shown: Readonly<Record<Direction, PolicySet>> | null;
}

/** By the family of the range. */
export type NextHops = Readonly<Record<IpFamily, NextHopAllocator>>;

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];

/**
 * Who has which address: decides the facts of each prefix and the policy sets of each local address. The
 * host's own address beats a workload's; of two endpoints that claim an address, the first by name has it.
 */
export class EndpointTable {
  readonly endpoints = new Map<EndpointId, TableEndpoint>();
  readonly served = new Map<Address, ServedAddress>();
  /** Of `served`, those whose record may have to change in this commit. */
  readonly touched = new Set<ServedAddress>();
  /** Served until this commit. */
  removed: ServedAddress[] = [];
  hosts: ReadonlySet<Address> = new Set();
  remoteHosts: ReadonlySet<Address> = new Set();
  readonly remotes = new Map<PrefixKey, { readonly prefix: Prefix; readonly range: RemoteRange }>();
  readonly #hopIndexes = new Map<
    PrefixKey,
    { readonly hop: NextHop | null; readonly index: number }
  >();
  #hopReleases: { readonly hop: NextHop | null; readonly family: IpFamily }[] = [];
  #errors: readonly EndpointError[] | null = null;
  readonly #owners = new Map<Address, EndpointId[]>();
  readonly #dirty = new Map<PrefixKey, Prefix>();
  /** Local addresses about which rules ask the IP set. */
  readonly #askedOf = new MultiMap<IpSetId, Address>();
  readonly #pool: IndexPool;
  readonly #hops: NextHops;
  readonly #addresses: AddressClasses;
  readonly #sets: PolicySets;
  readonly #store: PolicyStore;
  readonly #ipSets: IpSets;

  constructor(parts: {
    readonly pool: IndexPool;
    readonly hops: NextHops;
    readonly addresses: AddressClasses;
    readonly sets: PolicySets;
    readonly store: PolicyStore;
    readonly ipSets: IpSets;
  }) {
    this.#pool = parts.pool;
    this.#hops = parts.hops;
    this.#addresses = parts.addresses;
    this.#sets = parts.sets;
    this.#store = parts.store;
    this.#ipSets = parts.ipSets;
  }

  set(id: EndpointId, endpoint: TableEndpoint): void {
    this.forgetErrors();
    this.#disown(id);
    this.endpoints.set(id, endpoint);
    for (const address of addressesOf(endpoint)) {
      const owners = this.#owners.get(address) ?? [];
      if (!owners.includes(id)) this.#owners.set(address, [...owners, id].sort());
      this.#touchAddress(address);
    }
  }

  remove(id: EndpointId): void {
    this.forgetErrors();
    this.#disown(id);
    this.endpoints.delete(id);
  }

  setReady(id: EndpointId, ready: boolean): void {
    const endpoint = this.endpoints.get(id);
    if (endpoint === undefined || endpoint.ready === ready) return;
    this.endpoints.set(id, { ...endpoint, ready });
    this.#touchEndpoint(endpoint);
  }

  setHosts(which: 'hosts' | 'remoteHosts', addresses: readonly string[]): void {
    const parsed = addresses.map(parseAddress).filter((address) => address !== null);
    this.forgetErrors();
    for (const address of [...this[which], ...parsed]) this.#touchAddress(address);
    this[which] = new Set(parsed);
  }

  /** false: it is no range. */
  setRemote(cidr: string, range: RemoteRange | null): boolean {
    const prefix = parsePrefix(cidr);
    if (prefix === null) return false;
    const key = prefixKey(prefix);
    if (range === null) this.remotes.delete(key);
    else this.remotes.set(key, { prefix, range });
    this.#dirty.set(key, prefix);
    return true;
  }

  /** Policies or profiles came, went or changed: what they ask about local addresses may have, too. */
  onRules(changed: ReadonlySet<string>): void {
    if (changed.size === 0) return;
    for (const endpoint of this.endpoints.values()) {
      const policies = endpoint.tiers.flatMap((tier) => [...tier.ingress, ...tier.egress]);
      if ([...policies, ...endpoint.profiles].some((id) => changed.has(id))) {
        this.#touchEndpoint(endpoint);
      }
    }
  }

  onIpSets(changed: ReadonlySet<IpSetId>): void {
    for (const id of changed) {
      for (const address of this.#askedOf.get(id)) this.#touchAddress(address);
    }
  }

  /** Works out facts and policy sets of everything that changed. */
  refresh(): void {
    for (const prefix of this.#dirty.values()) {
      this.#addresses.setFacts(prefix, this.#factsOf(prefix));
    }
    this.#dirty.clear();
  }

  /** Packets see what is wanted now. */
  retire(): void {
    if (this.touched.size + this.removed.length > 0) this.forgetErrors();
    for (const { index } of this.removed) this.#pool.free(index);
    this.removed = [];
    this.touched.clear();
    for (const { hop, family } of this.#hopReleases) this.#hops[family].release(hop);
    this.#hopReleases = [];
  }

  /** Asked after each commit: worked out anew only after one that touched an endpoint or compiled a set. */
  errors(): readonly EndpointError[] {
    this.#errors ??= this.#findErrors();
    return this.#errors;
  }

  /** Endpoints or the errors of policy sets may be others. */
  forgetErrors(): void {
    this.#errors = null;
  }

  #findErrors(): EndpointError[] {
    const errors: EndpointError[] = [];
    for (const [endpoint, { addresses }] of this.endpoints) {
      const served = addresses
        .map(parseAddress)
        .filter((address) => address !== null)
        .map((address) => ({ address, by: this.served.get(address) }));
      for (const { address, by } of served) {
        if (by?.endpoint === endpoint) continue;
        const holder = by === undefined ? 'this host' : `endpoint ${by.endpoint}`;
        const message = `address ${formatAddress(address)} is not served: ${holder} has it`;
        errors.push({ endpoint, message });
      }
      for (const direction of DIRECTIONS) {
        const own = served.filter(({ by }) => by?.endpoint === endpoint);
        const message = own
          .map(({ by }) => by?.want[direction].current.error)
          .find((text) => typeof text === 'string');
        if (typeof message === 'string') errors.push({ endpoint, direction, message });
      }
    }
    return errors;
  }

  #disown(id: EndpointId): void {
    const endpoint = this.endpoints.get(id);
    if (endpoint === undefined) return;
    for (const address of addressesOf(endpoint)) {
      const owners = (this.#owners.get(address) ?? []).filter((other) => other !== id);
      if (owners.length > 0) this.#owners.set(address, owners);
      else this.#owners.delete(address);
      this.#touchAddress(address);
    }
  }

  #touchEndpoint(endpoint: TableEndpoint): void {
    for (const address of addressesOf(endpoint)) this.#touchAddress(address);
  }

  #touchAddress(address: Address): void {
    const prefix = wholePrefix(address);
    this.#dirty.set(prefixKey(prefix), prefix);
  }

  #factsOf(prefix: Prefix): AddressFacts | null {
    const remote = this.#remoteFacts(prefix);
    if (prefix.length < addressBits(prefix.address)) return remote;
    const { address } = prefix;
    const host = this.hosts.has(address);
    const local = this.#serve(address, host ? undefined : this.#owners.get(address)?.[0]);
    if (host) return { ...NO_FACTS, flags: MGY_INFO_LOCAL_HOST };
    if (local !== null) return local;
    if (this.remoteHosts.has(address)) return { ...NO_FACTS, flags: MGY_INFO_REMOTE_HOST };
    return remote;
  }

  #remoteFacts(prefix: Prefix): AddressFacts | null {
    const key = prefixKey(prefix);
    const held = this.#hopIndexes.get(key);
    const range = this.remotes.get(key)?.range;
    this.#hopIndexes.delete(key);
    const family = familyOf(prefix.address);
    if (held !== undefined) this.#hopReleases.push({ hop: held.hop, family });
    if (range === undefined) return null;
    const index = this.#hops[family].acquire(range.nextHop);
    this.#hopIndexes.set(key, { hop: range.nextHop, index });
    const { host, isHost } = range;
    const hostWord = host === undefined ? 0 : networkWord4(host);
    const flags = isHost ? MGY_INFO_REMOTE_HOST : MGY_INFO_REMOTE_WL;
    return { ...NO_FACTS, flags, nextHop: index, ...(hostWord === 0 ? {} : { hostWord }) };
  }

  #serve(address: Address, id: EndpointId | undefined): AddressFacts | null {
    const endpoint = id === undefined ? undefined : this.endpoints.get(id);
    const before = this.served.get(address);
    if (before !== undefined && before.endpoint !== id) {
      this.served.delete(address);
      this.touched.delete(before);
      this.#forgetUses(before);
      this.removed.push(before);
    }
    let facts: AddressFacts | null = null;
    if (id !== undefined && endpoint !== undefined) {
      const served = this.#place(address, id, endpoint);
      facts = factsOfEndpoint(endpoint, served.index);
    }
    // After the new sets were acquired: a set that both use lives on.
    if (before !== undefined && before.endpoint !== id) this.#release(before.want);
    return facts;
  }

  #place(address: Address, id: EndpointId, endpoint: TableEndpoint): ServedAddress {
    const { ifindex } = endpoint;
    const uses: LocalUses[] = [];
    const want = {
      ingress: this.#setFor(address, endpoint, { direction: 'ingress', uses }),
      egress: this.#setFor(address, endpoint, { direction: 'egress', uses }),
    };
    const before = this.served.get(address);
    if (before === undefined) {
      const index = this.#pool.allocate();
      const made = { address, endpoint: id, index, ifindex, uses, want, shown: null };
      this.served.set(address, made);
      this.#touch(made);
      return made;
    }
    this.#release(before.want);
    this.#forgetUses(before);
    before.want = want;
    before.uses = uses;
    before.ifindex = ifindex;
    this.#touch(before);
    return before;
  }

  #touch(served: ServedAddress): void {
    this.touched.add(served);
    for (const { sets, portSets } of served.uses) {
      for (const id of sets) this.#askedOf.add(id, served.address);
      for (const id of portSets) this.#askedOf.add(id, served.address);
    }
  }

  #forgetUses({ address, uses }: ServedAddress): void {
    for (const { sets, portSets } of uses) {
      for (const id of sets) this.#askedOf.delete(id, address);
      for (const id of portSets) this.#askedOf.delete(id, address);
    }
  }

  #setFor(
    address: Address,
    endpoint: TableEndpoint,
    how: { readonly direction: Direction; readonly uses: LocalUses[] },
  ): PolicySet {
    const { direction } = how;
    const tiers = PolicyStore.tiersOf(endpoint.tiers, direction);
    const { profiles } = endpoint;
    const uses = this.#store.localUses({ direction, tiers, profiles });
    how.uses.push(...uses);
    const local = localFactsOf(address, uses, this.#ipSets);
    return this.#sets.acquire({ direction, tiers, profiles, local });
  }

  #release(sets: Readonly<Record<Direction, PolicySet>>): void {
    for (const direction of DIRECTIONS) this.#sets.release(sets[direction]);
  }
}

function addressesOf(endpoint: TableEndpoint): Address[] {
  return endpoint.addresses.map(parseAddress).filter((address) => address !== null);
}

function factsOfEndpoint(endpoint: TableEndpoint, index: number): AddressFacts {
  const flags =
    MGY_INFO_LOCAL_WL |
    (endpoint.ready ? MGY_INFO_READY : 0) |
    (endpoint.noPeer === true ? MGY_INFO_NO_PEER : 0);
  const mac = endpoint.mac?.split(':').map((byte) => Number.parseInt(byte, 16));
  return {
    ...NO_FACTS,
    ...{ flags, ifindex: endpoint.ifindex, endpoint: index },
    ...(mac?.length === 6 && mac.every((byte) => byte >= 0 && byte <= 255) ? { mac } : {}),
  };
}
