/** Finds a block for a host that needs one (spec/ipam.md 6.3 steps 1 and 2, 6.5). Claims nothing. */
import type { Cidr } from '../base/net/cidr.js';
import type { Affinities } from './affinity.js';
import type { Block } from './block.js';
import { inWalkOrder, walkBlocks } from './block-walk.js';
import { isIpamError } from './ipam-error.js';
import { type IpamStore, isRace, type Versioned } from './ipam-store.js';
import { type Owner, ownersEqual } from './owner.js';
import type { Pool } from './pool-choice.js';
import type { Reservations } from './reservations.js';

/** Most pools have room where a host looks first; beyond that one list is cheaper than many reads. */
const PROBES_MAX = 8;
/** A block that was claimed just now is empty because its owner is about to use it. */
const RECLAIM_AGE_MS = 60_000;

export interface Search {
  readonly owner: Owner;
  readonly pools: readonly Pool[];
  readonly reservations: Reservations;
  /** CIDRs that have been tried. */
  readonly tried: ReadonlySet<string>;
}

export interface BlockFinderOptions {
  readonly store: IpamStore;
  readonly affinities: Affinities;
  readonly now: () => number;
}

export class BlockFinder {
  readonly #store: IpamStore;
  readonly #affinities: Affinities;
  readonly #now: () => number;

  constructor({ store, affinities, now }: BlockFinderOptions) {
    this.#store = store;
    this.#affinities = affinities;
    this.#now = now;
  }

  /** A CIDR to claim: without a block, or with one that another process of this host made meanwhile. */
  async find(search: Search): Promise<Cidr | null> {
    for (const pool of search.pools) {
      const probed = await this.#probe(pool, search);
      if (probed !== null) return probed;
    }
    const existing = await this.#existing();
    for (const pool of search.pools) {
      const block = this.#firstFree(pool, search, existing);
      if (block !== null) return block;
    }
    return await this.#reclaim(search, existing);
  }

  async #probe(pool: Pool, search: Search): Promise<Cidr | null> {
    let probes = 0;
    for (const cidr of walkBlocks(pool, search.owner.host)) {
      if (search.tried.has(`${cidr}`)) continue;
      if (probes === PROBES_MAX) return null;
      probes += 1;
      if (search.reservations.covers(cidr)) continue;
      if (isClaimable(await this.#read(cidr), search)) return cidr;
    }
    return null;
  }

  /** 'unreadable': there is something, but nothing to work with. */
  async #read(cidr: Cidr): Promise<Block | 'unreadable' | null> {
    try {
      return (await this.#store.getBlock(cidr))?.value ?? null;
    } catch (error) {
      if (isIpamError(error, 'ERR_IPAM_BLOCK')) return 'unreadable';
      throw error;
    }
  }

  #firstFree(
    pool: Pool,
    search: Search,
    existing: ReadonlyMap<string, Versioned<Block> | null>,
  ): Cidr | null {
    for (const cidr of walkBlocks(pool, search.owner.host)) {
      const stored = existing.get(`${cidr}`);
      const block = stored === null ? 'unreadable' : (stored?.value ?? null);
      if (search.tried.has(`${cidr}`) || search.reservations.covers(cidr)) continue;
      if (isClaimable(block, search)) return cidr;
    }
    return null;
  }

  /** Unreadable ones are null. */
  async #existing(): Promise<ReadonlyMap<string, Versioned<Block> | null>> {
    const { blocks, invalid } = await this.#store.listBlocks();
    return new Map<string, Versioned<Block> | null>([
      ...invalid.map(({ cidr }) => [cidr, null] as const),
      ...blocks.map((block) => [`${block.value.cidr}`, block] as const),
    ]);
  }

  /** An empty block that its owner does not seem to need. */
  async #reclaim(
    search: Search,
    existing: ReadonlyMap<string, Versioned<Block> | null>,
  ): Promise<Cidr | null> {
    const blocks = [...existing.values()].flatMap((stored) => stored ?? []);
    for (const pool of search.pools) {
      const cidrs = inWalkOrder(
        pool,
        search.owner.host,
        blocks.map(({ value }) => value.cidr),
      );
      for (const cidr of cidrs) {
        const stored = existing.get(`${cidr}`);
        if (!stored || search.reservations.covers(cidr)) continue;
        if (this.#isIdle(stored.value, search.owner) && (await this.#takeAway(stored))) return cidr;
      }
    }
    return null;
  }

  #isIdle(block: Block, owner: Owner): boolean {
    if (!block.isEmpty || ownersEqual(block.owner, owner)) return false;
    return block.owner === null || this.#now() - (block.claimTimeMs ?? 0) >= RECLAIM_AGE_MS;
  }

  async #takeAway({ value: block, revision }: Versioned<Block>): Promise<boolean> {
    const { owner, cidr, sequenceNumber } = block;
    try {
      const options = { mustBeEmpty: true, sequenceNumber };
      if (owner !== null && (await this.#affinities.giveUp(owner, cidr, options))) return true;
      // Nobody's, or whoever took it died between the block and the affinity.
      await this.#store.deleteBlock(cidr, revision);
      return true;
    } catch (error) {
      if (isRace(error) || isIpamError(error, 'ERR_IPAM_CONFLICT')) return false;
      throw error;
    }
  }

  /** Existing blocks with free addresses, whoever's, in the order in which to borrow from them. */
  async lenders({ owner, pools, reservations }: Search): Promise<readonly Cidr[]> {
    const { blocks } = await this.#store.listBlocks();
    const cidrs = blocks
      .filter(({ value }) => hasRoom(value, reservations))
      .map(({ value }) => value.cidr);
    return pools.flatMap((pool) => inWalkOrder(pool, owner.host, cidrs));
  }
}

function isClaimable(block: Block | 'unreadable' | null, search: Search): boolean {
  if (block === null) return true;
  if (block === 'unreadable' || !block.isOwnedBy(search.owner)) return false;
  return hasRoom(block, search.reservations);
}

function hasRoom(block: Block, reservations: Reservations): boolean {
  const isReserved = reservations.inBlock(block.cidr);
  return block.freeOrdinals.some((ordinal) => !isReserved(ordinal));
}
