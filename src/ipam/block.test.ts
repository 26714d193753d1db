import { describe, expect, test } from '@jest/globals';
import { parseCidr } from '../base/net/cidr.js';
import { formatIp, parseIp } from '../base/net/ip.js';
import type { BlockSpec } from '../model/ipam-objects.js';
import { Block } from './block.js';
import { blockProblems, unusedAttributes } from './block-problems.js';
import { hostOwner } from './owner.js';
import { Reservations } from './reservations.js';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const NO_COOLDOWN = { nowMs: NOW, cooldownS: 0 };

function fresh(text: string): Block {
  const cidr = parseCidr(text);
  if (cidr === null) throw new Error(text);
  return Block.create(cidr, { owner: hostOwner('a'), nowMs: NOW });
}

const again = (block: Block): Block => Block.parse(block.toSpec());

describe('a block', () => {
  test('shares attributes of equal content, and drops those that nobody has', () => {
    const block = fresh('10.0.0.0/29');
    block.take(1, { handle: 'h', attributes: { x: '1', y: '2' } });
    block.take(2, { handle: 'h', attributes: { y: '2', x: '1' } });
    block.take(1, { handle: 'i' });
    block.take(1, { handle: 'i', attributes: {} });
    const spec = block.toSpec();
    expect(spec.attributes).toHaveLength(2);
    expect(spec.allocations).toEqual([0, 0, 0, 1, 1, null, null, null]);
    const later = again(block);
    later.release([0, 1, 2], NO_COOLDOWN);
    expect(later.toSpec()).toMatchObject({
      attributes: [{ handle_id: 'i' }],
      allocations: [null, null, null, 0, 0, null, null, null],
      unallocated: [5, 6, 7, 0, 1, 2],
    });
  });

  test('counts every write and remembers when an address last changed', () => {
    const block = fresh('10.0.0.0/30');
    const created = BigInt(block.toSpec().sequenceNumber ?? '0');
    expect(created).toBe(BigInt(NOW) * 1_000_000n);
    const second = again(block);
    second.take(1, {});
    expect(second.toSpec()).toMatchObject({
      sequenceNumber: `${created + 1n}`,
      sequenceNumberForAllocation: { 0: `${created}` },
    });
    expect(again(second).allocationAt(0)?.sequenceNumber).toBe(created);
  });

  test.each(['::/122', 'fd00::40/122', '10.0.0.192/26', '255.255.255.192/26'])(
    '%s: ordinals and addresses are inverse',
    (text) => {
      const block = fresh(text);
      for (const ordinal of [0, 5, 63]) {
        expect(block.ordinalOf(block.ipAt(ordinal))).toBe(ordinal);
      }
      const outside = parseIp('10.99.0.1');
      expect(outside && block.ordinalOf(outside)).toBeNull();
    },
  );

  test('the first and the last address are as good as any', () => {
    const block = fresh('10.0.0.0/31');
    const taken = block.take(5, {}).map((ordinal) => formatIp(block.ipAt(ordinal)));
    expect(taken).toEqual(['10.0.0.0', '10.0.0.1']);
  });

  test('a cooldown in the future counts as now, and an endless one never ends', () => {
    const block = fresh('10.0.0.0/30');
    block.take(1, { handle: 'h' });
    const lost = block.release([0], { nowMs: NOW + 3_600_000, cooldownS: 10 });
    expect([...lost]).toEqual([['h', 1]]);
    expect(block.isEmpty).toBe(false);
    expect(block.endCooldowns({ nowMs: NOW, cooldownS: -1 })).toBe(false);
    expect(block.endCooldowns({ nowMs: NOW, cooldownS: 10 })).toBe(false);
    expect(block.endCooldowns({ nowMs: NOW, cooldownS: 0 })).toBe(true);
    expect(block.isEmpty).toBe(true);
  });

  test('addresses that Windows keeps do not keep a block in use', () => {
    const block = fresh('10.0.0.0/30');
    block.take(1, { handle: 'windows-reserved-ipam-handle' });
    expect(block.isEmpty).toBe(true);
  });

  test('of the very old form names its host alone', () => {
    const { affinity: _, ...spec } = fresh('10.0.0.0/30').toSpec();
    const block = Block.parse({ ...spec, hostAffinity: 'edge' });
    expect(block.owner).toEqual(hostOwner('edge'));
    expect(block.toSpec()).not.toHaveProperty('hostAffinity');
  });
});

describe('what is wrong with a stored block', () => {
  const sound: BlockSpec = {
    cidr: '10.0.0.0/30',
    allocations: [null, 0, null, null],
    unallocated: [3, 0, 2],
    attributes: [{}],
  };

  test.each<[string, object, string]>([
    ['its CIDR', { cidr: '10.0.0.1/30' }, '"10.0.0.1/30" is not a CIDR'],
    ['its size', { cidr: '10.0.0.0/8' }, '10.0.0.0/8 is larger than a block can be'],
    ['its length', { allocations: [null] }, 'allocations has 1 entries, wanted 4'],
    ['no list', { allocations: null }, 'allocations is not a list'],
    ['an index', { allocations: [null, 1, null, null] }, 'ordinal 1 points to attribute 1 of 1'],
    [
      'a fraction',
      { allocations: [null, 0.5, null, null] },
      'ordinal 1 points to attribute 0.5 of 1',
    ],
    ['free twice', { unallocated: [3, 0, 3] }, 'ordinal 3 is free twice'],
    [
      'free and held',
      { unallocated: [1, 0, 3] },
      'ordinal 1 is called free, but is allocated or does not exist',
    ],
    [
      'free, out of range',
      { unallocated: [4, 0, 3] },
      'ordinal 4 is called free, but is allocated or does not exist',
    ],
    ['lost', { unallocated: [3] }, '3 ordinals have no holder, but 1 are called free'],
    ['a number', { sequenceNumber: '-1' }, '"-1" is not a sequence number'],
  ])('%s', (_, more, problem) => {
    expect(blockProblems({ ...sound, ...more } as BlockSpec)).toContain(problem);
  });

  test('nothing', () => {
    expect(blockProblems(sound)).toEqual([]);
    expect(blockProblems({ ...sound, unallocated: [3, 0, 2], attributes: [{}, {}] })).toEqual([]);
    expect(unusedAttributes({ ...sound, attributes: [{}, {}] })).toEqual([1]);
  });
});

describe('reservations', () => {
  const reservations = new Reservations([
    '10.0.0.8/30',
    '10.0.0.12',
    '10.0.0.5/30',
    '10.0.1.0/25',
    '10.0.1.128/25',
    'fd00::/126',
    'nonsense',
  ]);
  const at = (text: string) => {
    const cidr = parseCidr(text);
    if (cidr === null) throw new Error(text);
    return cidr;
  };

  test.each([
    ['10.0.0.0/28', [{ first: 4n, last: 12n }], 9n, false],
    ['10.0.1.64/26', [{ first: 0n, last: 63n }], 64n, true],
    ['10.0.0.0/30', [], 0n, false],
    ['fd00::/125', [{ first: 0n, last: 3n }], 4n, false],
    [
      '10.0.0.0/8',
      [
        { first: 4n, last: 12n },
        { first: 256n, last: 511n },
      ],
      265n,
      false,
    ],
  ])('%s has %j', (text, parts, count, covered) => {
    expect(reservations.within(at(text))).toEqual(parts);
    expect(reservations.countIn(at(text))).toBe(count);
    expect(reservations.covers(at(text))).toBe(covered);
  });

  test('by ordinal', () => {
    const isReserved = reservations.inBlock(at('10.0.0.0/28'));
    const reserved = Array.from({ length: 16 }, (_, i) => i).filter(isReserved);
    expect(reserved).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });
});
