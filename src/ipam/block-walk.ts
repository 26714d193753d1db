/**
 * The blocks of a pool in the order in which a host tries them (spec/ipam.md 6.6): from a place that depends on the
 * host's name alone, so that requests of one host meet at one block and those of different hosts do not. Pure.
 */
import { createHash, randomBytes } from 'node:crypto';
import { assert } from '../base/assert.js';
import { Cidr } from '../base/net/cidr.js';
import { addToIp, ipBits, ipToBigInt, maskIp } from '../base/net/ip.js';

export interface BlockRange {
  readonly cidr: Cidr;
  /** Prefix length of its blocks. */
  readonly blockSize: number;
}

/** Up to 2^128: a pool of IPv6 has more blocks than a number can count. */
export function blockCount({ cidr, blockSize }: BlockRange): bigint {
  return blockSize < cidr.prefixLength ? 0n : 1n << BigInt(blockSize - cidr.prefixLength);
}

/** The block of the pool that an address is in. */
export function blockOf(range: BlockRange, address: Cidr['address']): Cidr {
  return new Cidr(maskIp(address, range.blockSize), range.blockSize);
}

function startIndex(range: BlockRange, host: string): bigint {
  const count = blockCount(range);
  // A block of one address is no meeting place, so hosts need not look alike each time.
  const isSingle = range.blockSize === ipBits(range.cidr.family);
  const bytes = isSingle ? randomBytes(8) : createHash('sha256').update(host).digest();
  return bytes.readBigUInt64BE(0) % count;
}

/** Each block once. */
export function* walkBlocks(range: BlockRange, host: string): Generator<Cidr> {
  const count = blockCount(range);
  if (count === 0n) return;
  const start = startIndex(range, host);
  for (let i = 0n; i < count; i++) yield blockAt(range, (start + i) % count);
}

function blockAt({ cidr, blockSize }: BlockRange, index: bigint): Cidr {
  const address = addToIp(cidr.address, index << BigInt(ipBits(cidr.family) - blockSize));
  assert(address !== null, `${cidr} has no block ${index}`);
  return new Cidr(address, blockSize);
}

/** Existing blocks of the pool in walking order, without visiting those that do not exist. */
export function inWalkOrder(
  range: BlockRange,
  host: string,
  blocks: Iterable<Cidr>,
): readonly Cidr[] {
  const count = blockCount(range);
  if (count === 0n) return [];
  const start = startIndex(range, host);
  const base = ipToBigInt(range.cidr.address);
  const hostBits = BigInt(ipBits(range.cidr.family) - range.blockSize);
  const positionOf = (block: Cidr): bigint =>
    (((ipToBigInt(block.address) - base) >> hostBits) - start + count) % count;
  return [...blocks]
    .filter((block) => range.cidr.contains(block))
    .map((block) => ({ block, position: positionOf(block) }))
    .sort((a, b) => (a.position < b.position ? -1 : a.position > b.position ? 1 : 0))
    .map(({ block }) => block);
}
