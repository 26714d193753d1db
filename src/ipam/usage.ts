/** How full pools and blocks are, and who borrows (spec/ipam.md 7.7). Pure. */
import type { Cidr } from '../base/net/cidr.js';
import type { Allocation, Block } from './block.js';
import { formatOwner } from './owner.js';
import type { Pool } from './pool-choice.js';
import type { Reservations } from './reservations.js';

/** Counts of addresses: a pool of IPv6 has more than a number can hold. */
export interface Usage {
  readonly cidr: string;
  readonly total: bigint;
  /** Those that cool down included. */
  readonly inUse: bigint;
  /** Some may be in use: reservations bind automatic assignment only. */
  readonly reserved: bigint;
  /** Neither in use nor reserved; of a pool, also where there is no block yet. */
  readonly free: bigint;
}

export interface BlockUsage extends Usage {
  /** 'host:edge-01'; undefined when nobody owns it. */
  readonly affinity: string | undefined;
}

export interface PoolUsage extends Usage {
  readonly name: string;
  readonly blocks: readonly BlockUsage[];
}

export interface AllUsage {
  readonly pools: readonly PoolUsage[];
  /** Of pools that are gone. */
  readonly orphans: readonly BlockUsage[];
}

export function usageOf(
  pools: readonly Pool[],
  blocks: readonly Block[],
  reservations: Reservations,
): AllUsage {
  const usages = blocks.map((block) => ({ block, usage: blockUsage(block, reservations) }));
  const inPool = (pool: Pool): readonly BlockUsage[] =>
    usages
      .filter(({ block }) => pool.cidr.containsIp(block.cidr.address))
      .map(({ usage }) => usage);
  return {
    pools: pools.map((pool) => poolUsage(pool, inPool(pool), reservations)),
    orphans: usages
      .filter(({ block }) => !pools.some((pool) => pool.cidr.containsIp(block.cidr.address)))
      .map(({ usage }) => usage),
  };
}

function blockUsage(block: Block, reservations: Reservations): BlockUsage {
  const isReserved = reservations.inBlock(block.cidr);
  const free = block.freeOrdinals.filter((ordinal) => !isReserved(ordinal)).length;
  return {
    cidr: `${block.cidr}`,
    affinity: block.owner === null ? undefined : formatOwner(block.owner),
    total: BigInt(block.size),
    inUse: BigInt(block.size - block.freeCount),
    reserved: reservations.countIn(block.cidr),
    free: BigInt(free),
  };
}

const sum = (counts: readonly bigint[]): bigint => counts.reduce((all, count) => all + count, 0n);

function poolUsage(
  { name, cidr }: Pool,
  blocks: readonly BlockUsage[],
  reservations: Reservations,
): PoolUsage {
  const total = cidr.size();
  const reserved = reservations.countIn(cidr);
  // Where there is no block, everything that is not reserved is free.
  const outside =
    total -
    sum(blocks.map((block) => block.total)) -
    (reserved - sum(blocks.map((block) => block.reserved)));
  return {
    name,
    cidr: `${cidr}`,
    total,
    reserved,
    inUse: sum(blocks.map(({ inUse }) => inUse)),
    free: outside + sum(blocks.map(({ free }) => free)),
    blocks,
  };
}

export interface Borrowed {
  readonly allocation: Allocation;
  readonly node: string;
  readonly block: Cidr;
  readonly owner: string;
}

/** Addresses whose node does not own their block; `unknown`: how many do not say where they are. */
export function borrowedFrom(blocks: readonly Block[]): {
  readonly borrowed: readonly Borrowed[];
  readonly unknown: number;
} {
  const borrowed: Borrowed[] = [];
  let unknown = 0;
  for (const block of blocks) {
    for (const allocation of block.allocations()) {
      const { node } = allocation.attributes;
      if (allocation.releasedAt !== undefined) continue;
      if (node === undefined) unknown += 1;
      else if (isBorrowed(block, node)) {
        const owner = block.owner === null ? 'none' : formatOwner(block.owner);
        borrowed.push({ allocation, node, block: block.cidr, owner });
      }
    }
  }
  return { borrowed, unknown };
}

/** By a node, of a block that is another's or nobody's. */
export function isBorrowed({ owner }: Block, node: string): boolean {
  return owner?.type !== 'virtual' && owner?.host !== node;
}
