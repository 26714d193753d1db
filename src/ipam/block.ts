/**
 * One block: the only truth about who has which of its addresses (spec/ipam.md 2.2, 2.3). A working copy: made from
 * what was read, changed, written with compare-and-swap, and thrown away. Pure: no clock, no I/O.
 */
import { assert } from '../base/assert.js';
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { addToIp, type Ip, ipBits, ipToBigInt } from '../base/net/ip.js';
import type { AttributeSpec, BlockSpec } from '../model/ipam-objects.js';
import { blockProblems } from './block-problems.js';
import { IpamError } from './ipam-error.js';
import { formatOwner, type Owner, ownersEqual, parseOwner } from './owner.js';

/** Kept free of pods on Windows hosts; does not keep a block in use. */
const RESERVED_HANDLE = 'windows-reserved-ipam-handle';

/** Who holds an address. */
export interface Holder {
  readonly handle?: string | undefined;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

export interface Allocation {
  readonly ip: Ip;
  readonly ordinal: number;
  readonly handle: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  /** Of a second owner, while a virtual machine moves. */
  readonly alternate: Readonly<Record<string, string>> | undefined;
  /** Released, and not to be used again yet. */
  readonly releasedAt: string | undefined;
  /** 0 when the writer did not count. */
  readonly sequenceNumber: bigint;
}

export interface Cooldown {
  readonly nowMs: number;
  /** 0: none. Negative: until it is cleared. */
  readonly cooldownS: number;
}

/** Handles and how many addresses each. */
export type HandleCounts = ReadonlyMap<string, number>;

export class Block {
  readonly cidr: Cidr;
  owner: Owner | null;
  #claimTime: string | undefined;
  readonly #rest: Readonly<Record<string, unknown>>;
  #allocations: (number | null)[];
  #free: number[];
  readonly #attributes: AttributeSpec[];
  /** By handle; made when first needed. */
  #indexes: Map<string | undefined, number[]> | null = null;
  readonly #sequenceNumber: bigint;
  readonly #sequences: Record<string, string>;

  private constructor(cidr: Cidr, spec: BlockSpec) {
    const {
      cidr: _,
      affinity,
      hostAffinity,
      affinityClaimTime,
      allocations,
      unallocated,
      attributes,
      sequenceNumber,
      sequenceNumberForAllocation,
      ...rest
    } = spec;
    this.cidr = cidr;
    // Written by version 2 of the data model.
    const old = typeof hostAffinity === 'string' ? `host:${hostAffinity}` : null;
    this.owner = parseOwner(affinity ?? old);
    this.#claimTime = affinityClaimTime;
    this.#rest = rest;
    this.#allocations = [...allocations];
    this.#free = [...unallocated];
    this.#attributes = [...(attributes ?? [])];
    this.#sequenceNumber = BigInt(sequenceNumber ?? '0');
    this.#sequences = { ...sequenceNumberForAllocation };
  }

  /** @throws IpamError ERR_IPAM_BLOCK, naming each rule that is broken */
  static parse(spec: BlockSpec): Block {
    const problems = blockProblems(spec);
    const cidr = parseCidr(spec.cidr);
    if (problems.length === 0 && cidr !== null) return new Block(cidr, spec);
    throw new IpamError(
      'ERR_IPAM_BLOCK',
      `block ${spec.cidr} is stored but invalid: ${problems.join('; ')}`,
    );
  }

  /** All addresses free. */
  static create(cidr: Cidr, options: { readonly owner: Owner; readonly nowMs: number }): Block {
    const size = sizeOf(cidr);
    return new Block(cidr, {
      cidr: cidr.toString(),
      affinity: formatOwner(options.owner),
      affinityClaimTime: new Date(options.nowMs).toISOString().replace(/\.\d+Z$/, 'Z'),
      allocations: Array.from({ length: size }, () => null),
      unallocated: Array.from({ length: size }, (_, i) => i),
      attributes: [],
      strictAffinity: false,
      // Higher than whatever a block of this CIDR had before; the write adds one.
      sequenceNumber: `${BigInt(Math.floor(options.nowMs)) * 1_000_000n - 1n}`,
      sequenceNumberForAllocation: {},
      deleted: false,
    });
  }

  get size(): number {
    return this.#allocations.length;
  }

  /** Of the stored block: the next write has one more. */
  get sequenceNumber(): bigint {
    return this.#sequenceNumber;
  }

  /** Milliseconds since 1970; null when nobody owns it or the writer did not say. */
  get claimTimeMs(): number | null {
    const time = Date.parse(this.#claimTime ?? '');
    return Number.isNaN(time) ? null : time;
  }

  get freeCount(): number {
    return this.#free.length;
  }

  /** The next to be used first. */
  get freeOrdinals(): readonly number[] {
    return this.#free;
  }

  /** Nobody has an address of it. One that cools down counts as held. */
  get isEmpty(): boolean {
    return this.#allocations.every(
      (index) => index === null || handleOf(this.#attributes[index]) === RESERVED_HANDLE,
    );
  }

  isOwnedBy(owner: Owner): boolean {
    return ownersEqual(this.owner, owner);
  }

  disown(): void {
    this.owner = null;
    this.#claimTime = undefined;
  }

  /** null: not in this block. */
  ordinalOf(ip: Ip): number | null {
    if (!this.cidr.containsIp(ip)) return null;
    return Number(ipToBigInt(ip) - ipToBigInt(this.cidr.address));
  }

  ipAt(ordinal: number): Ip {
    const ip = addToIp(this.cidr.address, ordinal);
    assert(ip !== null, `${this.cidr} has no address ${ordinal}`);
    return ip;
  }

  isFree(ordinal: number): boolean {
    return this.#allocations[ordinal] === null;
  }

  allocationAt(ordinal: number): Allocation | null {
    const index = this.#allocations[ordinal] ?? null;
    if (index === null) return null;
    const { secondary, alternateOwnerAttrs, releasedAt } = this.#attributes[index] ?? {};
    return {
      ip: this.ipAt(ordinal),
      ordinal,
      handle: handleOf(this.#attributes[index]),
      attributes: secondary ?? {},
      alternate: alternateOwnerAttrs ?? undefined,
      releasedAt: releasedAt || undefined,
      sequenceNumber: BigInt(this.#sequences[`${ordinal}`] ?? '0'),
    };
  }

  /** In order of address. */
  allocations(): readonly Allocation[] {
    return this.#allocations.flatMap((_, ordinal) => this.allocationAt(ordinal) ?? []);
  }

  /** Which a handle has; those that cool down are nobody's. */
  ordinalsOf(handle: string): readonly number[] {
    const isTheirs = this.#attributes.map((attribute) => handleOf(attribute) === handle);
    return this.#allocations.flatMap((index, ordinal) =>
      index !== null && isTheirs[index] ? [ordinal] : [],
    );
  }

  /** How many addresses each handle has here. */
  handles(): HandleCounts {
    return countHandles(this.allocations().map(({ handle }) => handle));
  }

  /** At most `count` free ordinals for one holder, the longest unused first; reserved ones keep their place. */
  take(
    count: number,
    holder: Holder,
    isReserved: (ordinal: number) => boolean = () => false,
  ): readonly number[] {
    const taken: number[] = [];
    const kept: number[] = [];
    for (const ordinal of this.#free) {
      if (taken.length < count && !isReserved(ordinal)) taken.push(ordinal);
      else kept.push(ordinal);
    }
    if (taken.length === 0) return taken;
    this.#free = kept;
    for (const ordinal of taken) this.#allocate(ordinal, holder);
    return taken;
  }

  /** One free ordinal by number, reserved or not. */
  takeOrdinal(ordinal: number, holder: Holder): void {
    assert(this.isFree(ordinal), `${this.cidr}: ${ordinal} is not free`);
    this.#free = this.#free.filter((other) => other !== ordinal);
    this.#allocate(ordinal, holder);
  }

  #allocate(ordinal: number, { handle, attributes }: Holder): void {
    this.#allocations[ordinal] = this.#attributeIndex({
      handle_id: handle ?? null,
      secondary: attributes ?? null,
    });
    this.#count(ordinal);
  }

  #attributeIndex(attribute: AttributeSpec): number {
    this.#indexes ??= indexByHandle(this.#attributes);
    const handle = handleOf(attribute);
    const indexes = this.#indexes.get(handle) ?? [];
    const known = indexes.find((index) => sameContent(this.#attributes[index], attribute));
    if (known !== undefined) return known;
    const added = this.#attributes.push(attribute) - 1;
    this.#indexes.set(handle, [...indexes, added]);
    return added;
  }

  #count(ordinal: number): void {
    this.#sequences[`${ordinal}`] = this.#sequenceNumber.toString();
  }

  /** Allocated ordinals become free, last in line, or cool down. Returns the handles that lost them. */
  release(ordinals: Iterable<number>, { nowMs, cooldownS }: Cooldown): HandleCounts {
    const lost: (string | undefined)[] = [];
    for (const ordinal of ordinals) {
      const allocation = this.allocationAt(ordinal);
      if (allocation === null || allocation.releasedAt !== undefined) continue;
      lost.push(allocation.handle);
      if (cooldownS === 0) this.#setFree(ordinal);
      else this.#allocations[ordinal] = this.#attributeIndex({ releasedAt: wholeSecond(nowMs) });
      this.#count(ordinal);
    }
    return countHandles(lost);
  }

  #setFree(ordinal: number): void {
    this.#allocations[ordinal] = null;
    this.#free.push(ordinal);
  }

  /** Frees what has cooled down. True: something has. */
  endCooldowns({ nowMs, cooldownS }: Cooldown): boolean {
    if (!this.#attributes.some(({ releasedAt }) => releasedAt)) return false;
    let ended = false;
    for (const { ordinal, releasedAt } of this.allocations()) {
      if (releasedAt === undefined || cooldownS < 0) continue;
      const releasedMs = Math.min(nowMs, Date.parse(releasedAt) || 0);
      if (cooldownS !== 0 && releasedMs + cooldownS * 1000 >= nowMs) continue;
      this.#setFree(ordinal);
      ended = true;
    }
    return ended;
  }

  /** What to write: one sequence number on, without attributes that nobody has. */
  toSpec(): BlockSpec {
    const used = [...new Set(this.#allocations)]
      .filter((index) => index !== null)
      .sort((a, b) => a - b);
    const renumbered = new Map(used.map((index, i) => [index, i]));
    return {
      ...this.#rest,
      cidr: this.cidr.toString(),
      affinity: this.owner === null ? null : formatOwner(this.owner),
      ...(this.#claimTime === undefined ? {} : { affinityClaimTime: this.#claimTime }),
      allocations: this.#allocations.map((index) =>
        index === null ? null : (renumbered.get(index) ?? null),
      ),
      unallocated: this.#free,
      attributes: used.map((index) => this.#attributes[index] ?? {}),
      // Ours is the cluster's setting; v3.2 would enforce a copy.
      strictAffinity: false,
      sequenceNumber: BigInt.asUintN(64, this.#sequenceNumber + 1n).toString(),
      sequenceNumberForAllocation: this.#sequences,
      deleted: false,
    };
  }
}

/** Addresses of a block; blocks have at most 4096. */
export function sizeOf(cidr: Cidr): number {
  return 2 ** (ipBits(cidr.family) - cidr.prefixLength);
}

/** A migration of old data left line breaks and more behind some handles. */
function handleOf(attribute: AttributeSpec | undefined): string | undefined {
  const handle = attribute?.handle_id?.split('\r', 1)[0];
  return handle === '' ? undefined : handle;
}

function indexByHandle(attributes: readonly AttributeSpec[]): Map<string | undefined, number[]> {
  const indexes = new Map<string | undefined, number[]>();
  attributes.forEach((attribute, i) => {
    const handle = handleOf(attribute);
    const list = indexes.get(handle);
    if (list === undefined) indexes.set(handle, [i]);
    else list.push(i);
  });
  return indexes;
}

/** They mean the same: an empty map is as good as none. */
function sameContent(a: AttributeSpec | undefined, b: AttributeSpec): boolean {
  return a !== undefined && contentOf(a) === contentOf(b);
}

function contentOf(attribute: AttributeSpec): string {
  const { handle_id, secondary, alternateOwnerAttrs, releasedAt, ...rest } =
    attribute as AttributeSpec & Readonly<Record<string, unknown>>;
  const sorted = (map: Readonly<Record<string, string>> | null | undefined): unknown =>
    Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    handle_id || null,
    sorted(secondary),
    sorted(alternateOwnerAttrs),
    releasedAt || null,
    rest,
  ]);
}

function countHandles(handles: readonly (string | undefined)[]): HandleCounts {
  const counts = new Map<string, number>();
  for (const handle of handles) {
    if (handle !== undefined) counts.set(handle, (counts.get(handle) ?? 0) + 1);
  }
  return counts;
}

/** RFC 3339, rounded up: a cooldown is never shorter than it says. */
function wholeSecond(nowMs: number): string {
  return new Date(Math.ceil(nowMs / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}
