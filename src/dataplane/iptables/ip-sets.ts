/**
 * Keeps the kernel's IP sets equal to what rules name and what the calculation says is in them. New sets are filled
 * before anybody can name them; in sets that exist, members come before others go; a set that changes for the most
 * part is filled beside it and swapped in. Sets that nothing names any more go when the caller says that no rule does.
 */
import { parseCidr } from '../../base/net/cidr.js';
import type { IpFamily, IpSetId } from '../../model/desired.js';
import {
  type IpsetHeader,
  type IpsetMember,
  type Ipsets,
  type IpsetType,
  memberText,
} from '../../kernel/netfilter/ipset.js';
import { errorCode } from '../../base/error.js';
import { familyOfText, type NetSource, SET_PREFIX, type SetUse, sourcesOf } from './set-use.js';

export interface IpSetsOptions {
  readonly kernel: Ipsets;
  readonly membersMax: number;
}

/** From this size on a set of addresses is not multiplied by ports. */
const LARGE_MIN = 16_384;
/** At least this many changes, and half of the set, before it is swapped rather than changed. */
const SWAP_MIN = 4096;

interface Source {
  readonly kind: 'net' | 'ip-port';
  readonly members: Set<string>;
}

/** One set of the kernel. Members are texts, as memberText() gives them; several rules may want the same one. */
interface KernelSet {
  readonly name: string;
  readonly type: IpsetType;
  readonly family: 0 | IpFamily;
  /** Null: its members are given, not calculated. */
  readonly use: SetUse | null;
  readonly counts: Map<string, number>;
  /** Members that came or went since the last prepare(). */
  readonly dirty: Set<string>;
  /** Null: it does not exist. */
  held: Set<string> | null;
}

export class IpSets {
  readonly #options: IpSetsOptions;
  readonly #sources = new Map<IpSetId, Source>();
  readonly #sets = new Map<string, KernelSet>();
  readonly #bySource = new Map<IpSetId, Set<KernelSet>>();
  /** In the kernel and ours, but not wanted. */
  readonly #leftover = new Set<string>();
  #isUnread = true;
  #sizesChanged = false;

  constructor(options: IpSetsOptions) {
    this.#options = options;
  }

  readonly isLarge = (id: IpSetId): boolean =>
    (this.#sources.get(id)?.members.size ?? 0) >= LARGE_MIN;

  /** Whether some set has become large, or small again, since the last call. */
  takeSizesChanged(): boolean {
    const changed = this.#sizesChanged;
    this.#sizesChanged = false;
    return changed;
  }

  /** What the calculation says is in a set now. */
  replaceSource(id: IpSetId, kind: 'net' | 'ip-port', members: readonly string[]): void {
    const before = this.#sources.get(id)?.members ?? new Set<string>();
    const after = new Set(members);
    const added = members.filter((member) => !before.has(member));
    const removed = [...before].filter((member) => !after.has(member));
    if (!this.#sources.has(id)) this.#sources.set(id, { kind, members: new Set() });
    this.changeSource(id, added, removed);
  }

  changeSource(id: IpSetId, added: readonly string[], removed: readonly string[]): void {
    const source = this.#sources.get(id);
    if (source === undefined) return;
    const wasLarge = this.isLarge(id);
    for (const member of added) source.members.add(member);
    for (const member of removed) source.members.delete(member);
    if (wasLarge !== this.isLarge(id)) this.#sizesChanged = true;
    for (const set of this.#bySource.get(id) ?? []) {
      for (const member of added) this.#count(set, id, member, 1);
      for (const member of removed) this.#count(set, id, member, -1);
    }
  }

  removeSource(id: IpSetId): void {
    this.changeSource(id, [], [...(this.#sources.get(id)?.members ?? [])]);
    this.#sources.delete(id);
  }

  /** The sets that rules name from now on, by name, besides the fixed ones. */
  want(uses: ReadonlyMap<string, SetUse>): void {
    for (const set of [...this.#sets.values()]) {
      if (set.use !== null && !uses.has(set.name)) this.#drop(set);
    }
    for (const [name, use] of uses) if (!this.#sets.has(name)) this.#make(name, use);
  }

  /** A set whose members are given. */
  setFixed(
    set: { readonly name: string; readonly type: IpsetType; readonly family: IpFamily },
    members: readonly IpsetMember[],
  ): void {
    const kept = this.#sets.get(set.name) ?? this.#add({ ...set, use: null });
    const wanted = new Set(members.map(memberText));
    for (const text of kept.counts.keys()) {
      if (wanted.has(text)) continue;
      kept.counts.delete(text);
      kept.dirty.add(text);
    }
    for (const text of wanted) {
      if (kept.counts.has(text)) continue;
      kept.counts.set(text, 1);
      kept.dirty.add(text);
    }
  }

  removeFixed(name: string): void {
    const set = this.#sets.get(name);
    if (set !== undefined) this.#drop(set);
  }

  /** The next prepare() reads the kernel's sets. */
  queueResync(): void {
    this.#isUnread = true;
  }

  /** Makes every wanted set exist, with the right members. @throws SystemError; what is left undone stays dirty. */
  async prepare(): Promise<void> {
    try {
      if (this.#isUnread) await this.#read();
      for (const set of this.#sets.values()) {
        if (set.held === null) await this.#create(set);
        else if (set.dirty.size > 0) await this.#change(set, set.held);
      }
    } catch (error) {
      // Somebody may have taken a set away, or made one of its name.
      this.#isUnread = true;
      throw error;
    }
  }

  /** Once no rule names what is not wanted any more. What cannot go yet is tried again by the next call. */
  async sweep(): Promise<void> {
    for (const name of [...this.#leftover]) {
      try {
        await this.#options.kernel.destroy(name);
        this.#leftover.delete(name);
      } catch (error) {
        if (errorCode(error) !== 'EBUSY') throw error;
      }
    }
  }

  /** Members of all wanted sets. */
  get memberCount(): number {
    return [...this.#sets.values()].reduce((sum, { counts }) => sum + counts.size, 0);
  }

  #make(name: string, use: SetUse): void {
    const type = TYPES[use.kind];
    const set = this.#add({ name, type, family: use.kind === 'ports' ? 0 : use.family, use });
    for (const id of sourcesOf(use)) {
      const dependents = this.#bySource.get(id);
      if (dependents === undefined) this.#bySource.set(id, new Set([set]));
      else dependents.add(set);
    }
    for (const id of new Set(sourcesOf(use))) {
      for (const member of this.#sources.get(id)?.members ?? []) this.#count(set, id, member, 1);
    }
    for (const text of fixedTexts(use)) this.#countText(set, text, 1);
  }

  #add(set: Pick<KernelSet, 'name' | 'type' | 'family' | 'use'>): KernelSet {
    const added: KernelSet = { ...set, counts: new Map(), dirty: new Set(), held: null };
    this.#sets.set(set.name, added);
    // It was to go, and is wanted again: what it holds has to be read.
    if (this.#leftover.delete(set.name)) this.#isUnread = true;
    return added;
  }

  #drop(set: KernelSet): void {
    this.#sets.delete(set.name);
    if (set.held !== null) this.#leftover.add(set.name);
    if (set.use === null) return;
    for (const id of sourcesOf(set.use)) {
      const dependents = this.#bySource.get(id);
      dependents?.delete(set);
      if (dependents?.size === 0) this.#bySource.delete(id);
    }
  }

  #count(set: KernelSet, id: IpSetId, member: string, by: 1 | -1): void {
    if (set.use === null) return;
    for (const text of textsOf(set.use, id, member)) this.#countText(set, text, by);
  }

  #countText(set: KernelSet, text: string, by: 1 | -1): void {
    const count = (set.counts.get(text) ?? 0) + by;
    if (count > 0) set.counts.set(text, count);
    else set.counts.delete(text);
    if (count === 0 || (by === 1 && count === 1)) set.dirty.add(text);
  }

  async #create(set: KernelSet): Promise<void> {
    const { kernel, membersMax } = this.#options;
    const { name, type, family } = set;
    const texts = [...set.counts.keys()];
    await kernel.create({ name, type, family, membersMax });
    set.held = new Set();
    await kernel.add(name, texts.map(parseMember));
    set.held = new Set(texts);
    set.dirty.clear();
  }

  async #change(set: KernelSet, held: Set<string>): Promise<void> {
    const { kernel } = this.#options;
    const added = [...set.dirty].filter((text) => set.counts.has(text) && !held.has(text));
    const removed = [...set.dirty].filter((text) => !set.counts.has(text) && held.has(text));
    const changes = added.length + removed.length;
    if (changes >= SWAP_MIN && changes * 2 > set.counts.size) return this.#swap(set);
    await kernel.add(set.name, added.map(parseMember));
    for (const text of added) held.add(text);
    await kernel.remove(set.name, removed.map(parseMember));
    for (const text of removed) held.delete(text);
    set.dirty.clear();
  }

  async #swap(set: KernelSet): Promise<void> {
    const { kernel, membersMax } = this.#options;
    const { name, type, family } = set;
    const beside = `${SET_PREFIX}-new`;
    const texts = [...set.counts.keys()];
    await kernel.destroy(beside);
    await kernel.create({ name: beside, type, family, membersMax });
    await kernel.add(beside, texts.map(parseMember));
    await kernel.swap(beside, name);
    await kernel.destroy(beside);
    set.held = new Set(texts);
    set.dirty.clear();
  }

  async #read(): Promise<void> {
    const { kernel } = this.#options;
    const headers = await this.#ownHeaders();
    const names = new Set(headers.map(({ name }) => name));
    for (const set of this.#sets.values()) if (!names.has(set.name)) set.held = null;
    for (const { name } of headers) {
      const set = this.#sets.get(name);
      if (set === undefined) {
        this.#leftover.add(name);
        continue;
      }
      const held = new Set((await kernel.members(name)).map(memberText));
      set.held = held;
      for (const text of set.counts.keys()) if (!held.has(text)) set.dirty.add(text);
      for (const text of held) if (!set.counts.has(text)) set.dirty.add(text);
    }
    this.#isUnread = false;
  }

  /** Of our sets; one of another kind than is wanted has somebody else's hand in it, and goes. */
  async #ownHeaders(): Promise<readonly IpsetHeader[]> {
    const { kernel } = this.#options;
    const own = (await kernel.headers()).filter(({ name }) => name.startsWith(SET_PREFIX));
    const isRight = ({ name, type, family }: IpsetHeader): boolean => {
      const set = this.#sets.get(name);
      return set === undefined || (set.type === type && set.family === family);
    };
    for (const { name } of own.filter((header) => !isRight(header))) await kernel.destroy(name);
    return own.filter(isRight);
  }
}

const TYPES: Readonly<Record<SetUse['kind'], IpsetType>> = {
  nets: 'hash:net',
  products: 'hash:net,port',
  'named-port': 'hash:net,port',
  ports: 'bitmap:port',
};

/** The kernel's hashes know no prefix of length 0: all of a family is its two halves. */
const HALVES: Readonly<Record<string, readonly string[]>> = {
  '0.0.0.0/0': ['0.0.0.0/1', '128.0.0.0/1'],
  '::/0': ['::/1', '8000::/1'],
};
const halves = (net: string): readonly string[] => HALVES[net] ?? [net];

/** Members that a use has whatever the calculation says. */
function* fixedTexts(use: SetUse): Iterable<string> {
  switch (use.kind) {
    case 'nets':
      for (const source of use.sources) yield* netsOf(source, use.family);
      return;
    case 'products':
      for (const { source, protocol, ports } of use.entries) {
        for (const net of netsOf(source, use.family)) {
          for (const port of ports) yield `${net},${protocol}:${port}`;
        }
      }
      return;
    case 'ports':
      for (const { first, last } of use.ranges) {
        for (let port = first; port <= last; port++) yield `,:${port}`;
      }
      return;
    case 'named-port':
      return;
    default:
      use satisfies never;
  }
}

const netsOf = (source: NetSource, family: IpFamily): readonly string[] =>
  'nets' in source ? source.nets.filter((net) => familyOfText(net) === family).flatMap(halves) : [];

/** What a member of one of the calculation's sets is in a set of the kernel. */
function* textsOf(use: SetUse, id: IpSetId, member: string): Iterable<string> {
  const [address = '', service = ''] = member.split(',', 2);
  if (use.kind === 'ports' || familyOfText(address) !== use.family) return;
  switch (use.kind) {
    case 'nets':
      for (const source of use.sources) {
        if ('ipSet' in source && source.ipSet === id) yield* halves(member);
      }
      return;
    case 'products':
      for (const { source, protocol, ports } of use.entries) {
        if (!('ipSet' in source) || source.ipSet !== id) continue;
        for (const net of halves(member)) {
          for (const port of ports) yield `${net},${protocol}:${port}`;
        }
      }
      return;
    case 'named-port':
      yield `${address}/${use.family === 4 ? 32 : 128},${service}`;
      return;
    default:
      use satisfies never;
  }
}

/** The inverse of memberText(). */
function parseMember(text: string): IpsetMember {
  const [net = '', rest] = text.split(',', 2);
  const cidr = net === '' ? null : parseCidr(net);
  const address = cidr === null ? {} : { address: cidr.address, prefixLength: cidr.prefixLength };
  if (rest === undefined) return address;
  const colon = rest.indexOf(':');
  if (colon < 0) return { ...address, interfaceName: rest };
  const protocol = rest.slice(0, colon);
  return {
    ...address,
    port: Number(rest.slice(colon + 1)),
    ...(protocol === '' ? {} : { protocol: Number(protocol) }),
  };
}
