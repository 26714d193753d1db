import { describe, expect, test } from '@jest/globals';
import { parseCidr } from '../base/net/cidr.js';
import { type BlockRange, blockCount, inWalkOrder, walkBlocks } from './block-walk.js';

function range(text: string, blockSize: number): BlockRange {
  const cidr = parseCidr(text);
  if (cidr === null) throw new Error(text);
  return { cidr, blockSize };
}

describe('the walk over a pool', () => {
  test.each([
    ['10.0.0.0/24', 26, 4],
    ['10.0.0.0/26', 26, 1],
    ['fd00::/118', 122, 16],
    ['10.0.0.0/30', 32, 4],
  ])('%s in blocks of /%i visits each of the %i once', (text, blockSize, count) => {
    const blocks = [...walkBlocks(range(text, blockSize), 'a')].map(String);
    expect(new Set(blocks).size).toBe(count);
    expect(blocks).toHaveLength(count);
  });

  test('is the same for a host each time and differs between hosts', () => {
    const pool = range('10.0.0.0/16', 26);
    const first = (host: string) => String(walkBlocks(pool, host).next().value);
    const starts = Array.from({ length: 50 }, (_, i) => first(`host-${i}`));
    expect(starts).toEqual(Array.from({ length: 50 }, (_, i) => first(`host-${i}`)));
    expect(new Set(starts).size).toBeGreaterThan(40);
  });

  test('existing blocks are put in the same order', () => {
    const pool = range('10.0.0.0/22', 26);
    const walked = [...walkBlocks(pool, 'a')];
    const foreign = parseCidr('10.9.0.0/26');
    const shuffled = [...walked].sort((a, b) => (`${a}` < `${b}` ? -1 : 1));
    const given = foreign === null ? shuffled : [foreign, ...shuffled];
    expect(inWalkOrder(pool, 'a', given).map(String)).toEqual(walked.map(String));
  });

  test('a pool of IPv6 has more blocks than a number can count', () => {
    const pool = range('fd00::/48', 122);
    expect(blockCount(pool)).toBe(2n ** 74n);
    const [first, second] = walkBlocks(pool, 'a');
    expect(first?.overlaps(second ?? first)).toBe(false);
  });

  test('a pool smaller than a block has none', () => {
    expect([...walkBlocks(range('10.0.0.0/28', 26), 'a')]).toEqual([]);
  });
});
