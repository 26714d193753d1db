/** Do blocks, affinities and handles agree (spec/ipam.md 14)? Pure. */
import { type Cidr, compareCidr, parseCidr } from '../base/net/cidr.js';
import type { Block } from './block.js';
import type { Affinity, HandleBlocks } from './ipam-store.js';
import { formatOwner } from './owner.js';

export interface Stored {
  readonly blocks: readonly Block[];
  readonly affinities: readonly Affinity[];
  readonly handles: ReadonlyMap<string, HandleBlocks>;
}

export interface Inconsistencies {
  /** Must never be, whoever died when (invariants 6 to 8, 12 is not visible). */
  readonly broken: readonly string[];
  /** What a killed process may leave: repaired by whoever comes by next. */
  readonly unfinished: readonly string[];
}

export function inconsistencies(stored: Stored): Inconsistencies {
  const handles = countProblems(stored);
  return {
    broken: [...overlaps(stored.blocks.map(({ cidr }) => cidr)), ...handles.tooFew],
    unfinished: [...handles.tooMany, ...ownershipProblems(stored)],
  };
}

function overlaps(cidrs: readonly Cidr[]): readonly string[] {
  const sorted = [...cidrs].sort(compareCidr);
  return sorted.flatMap((cidr, i) => {
    const before = sorted[i - 1];
    return before?.overlaps(cidr) ? [`blocks ${before} and ${cidr} overlap`] : [];
  });
}

function countProblems({ blocks, handles }: Stored): {
  readonly tooFew: readonly string[];
  readonly tooMany: readonly string[];
} {
  const tooFew: string[] = [];
  const tooMany: string[] = [];
  const held = new Map(blocks.map((block) => [`${block.cidr}`, block.handles()]));
  for (const [cidr, counts] of held) {
    for (const [handle, count] of counts) {
      const counted = handles.get(handle)?.[cidr] ?? 0;
      if (counted < count) {
        tooFew.push(`handle ${handle} counts ${counted} in block ${cidr}, it has ${count}`);
      }
    }
  }
  for (const [handle, counts] of handles) {
    if (Object.keys(counts).length === 0) tooMany.push(`handle ${handle} is empty`);
    for (const [cidr, counted] of Object.entries(counts)) {
      const count = held.get(cidr)?.get(handle) ?? 0;
      if (counted > count) {
        tooMany.push(`handle ${handle} counts ${counted} in block ${cidr}, it has ${count}`);
      }
    }
  }
  return { tooFew, tooMany };
}

function ownershipProblems({ blocks, affinities }: Stored): readonly string[] {
  const byCidr = new Map(blocks.map((block) => [`${block.cidr}`, block]));
  const claims = new Set(affinities.map(({ owner, cidr }) => `${formatOwner(owner)} ${cidr}`));
  const problems: string[] = [];
  for (const { owner, cidr, state } of affinities) {
    const name = `affinity of ${formatOwner(owner)} to ${cidr}`;
    const block = byCidr.get(cidr);
    if (parseCidr(cidr) === null) problems.push(`${name}: not a CIDR`);
    else if (state !== 'confirmed' && state !== '') problems.push(`${name} is ${state}`);
    else if (block === undefined) problems.push(`${name}: there is no such block`);
    else if (!block.isOwnedBy(owner)) {
      const theirs = block.owner === null ? 'nobody' : formatOwner(block.owner);
      problems.push(`${name}: the block belongs to ${theirs}`);
    }
  }
  for (const { owner, cidr, isEmpty } of blocks) {
    if (owner === null && isEmpty) problems.push(`block ${cidr} is empty and belongs to nobody`);
    if (owner !== null && !claims.has(`${formatOwner(owner)} ${cidr}`)) {
      problems.push(`block ${cidr} belongs to ${formatOwner(owner)}, who has no affinity to it`);
    }
  }
  return problems;
}
