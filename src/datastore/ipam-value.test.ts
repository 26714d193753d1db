import { describe, expect, test } from '@jest/globals';
import { decodeIpamSpec, encodeIpamSpec } from './ipam-value.js';

const BLOCK_PATH = '/calico/ipam/v2/assignment/ipv4/block/10.48.0.0-30';
const AFFINITY_PATH = '/calico/ipam/v2/host/edge-01/ipv4/block/10.48.0.0-30';

/** The example of spec/ipam.md 2.2, with the members in our order. */
const BLOCK =
  '{"cidr":"10.48.0.0/30","affinity":"host:edge-01","allocations":[null,0,null,null],"unallocated":[3,0,2],' +
  '"attributes":[{"handle_id":"k8s-pod-network.9f8e7d","secondary":{"namespace":"shop","node":"edge-01","pod":"db-0"}}],' +
  '"strictAffinity":false,"deleted":false,"affinity_claim_time":"2026-01-02T03:04:05Z",' +
  '"sequenceNumber":1754041200123456789,"sequenceNumberForAllocation":{"1":1754041200123456788}}';

describe('a block', () => {
  test('reads with exact numbers and writes back the same bytes', () => {
    const spec = decodeIpamSpec('IPAMBlock', BLOCK_PATH, BLOCK);
    expect(spec).toMatchObject({
      cidr: '10.48.0.0/30',
      affinityClaimTime: '2026-01-02T03:04:05Z',
      sequenceNumber: '1754041200123456789',
      sequenceNumberForAllocation: { 1: '1754041200123456788' },
    });
    expect(encodeIpamSpec('IPAMBlock', spec ?? {})).toBe(BLOCK);
  });

  test('keeps 18446744073709551610 and what a newer writer added', () => {
    const body = BLOCK.replace('1754041200123456789', '18446744073709551610').replace(
      '{"cidr"',
      '{"newField":{"a":[1]},"cidr"',
    );
    const spec = decodeIpamSpec('IPAMBlock', BLOCK_PATH, body);
    expect(spec).toMatchObject({
      sequenceNumber: '18446744073709551610',
      newField: { a: [1] },
    });
    expect(encodeIpamSpec('IPAMBlock', spec ?? {})).toContain(
      '"sequenceNumber":18446744073709551610,',
    );
  });

  test('leaves digits inside text alone', () => {
    const note = 'say \\"sequenceNumber\\":12345678901234567890, please';
    const body = BLOCK.replace('"db-0"', `"${note}"`);
    const spec = decodeIpamSpec('IPAMBlock', BLOCK_PATH, body);
    expect(encodeIpamSpec('IPAMBlock', spec ?? {})).toBe(body);
  });

  test('of v3.2 has no sequence numbers', () => {
    const body =
      '{"cidr":"10.48.0.0/30","affinity":null,"strictAffinity":true,"allocations":[null,null,null,null],"unallocated":[0,1,2,3],"attributes":[]}';
    const spec = decodeIpamSpec('IPAMBlock', BLOCK_PATH, body);
    expect(spec).not.toHaveProperty('sequenceNumber');
    expect(spec).toMatchObject({ affinity: null, strictAffinity: true });
  });

  test('takes its CIDR from the key', () => {
    const body = BLOCK.replace('"10.48.0.0/30"', '"10.99.0.0/30"');
    expect(decodeIpamSpec('IPAMBlock', BLOCK_PATH, body)).toMatchObject({ cidr: '10.48.0.0/30' });
  });

  test.each(['[]', 'null', '7'])('%s is none', (body) => {
    expect(decodeIpamSpec('IPAMBlock', BLOCK_PATH, body)).toBeNull();
  });
});

describe('an affinity', () => {
  test.each([
    ['{"state":"confirmed"}', 'confirmed', false],
    ['{"state":"pending","deleted":false}', 'pending', false],
    ['{}', '', false],
    ['', '', false],
    ['{"state":"confirmed","deleted":true}', 'confirmed', true],
  ])('%s has state "%s"', (body, state, deleted) => {
    expect(decodeIpamSpec('BlockAffinity', AFFINITY_PATH, body)).toEqual({
      state,
      deleted,
      node: 'edge-01',
      type: 'host',
      cidr: '10.48.0.0/30',
    });
  });

  test('is stored without what its key says', () => {
    const spec = decodeIpamSpec('BlockAffinity', AFFINITY_PATH, '{"state":"pending"}') ?? {};
    expect(encodeIpamSpec('BlockAffinity', spec)).toBe('{"state":"pending","deleted":false}');
  });
});

describe('the configuration', () => {
  test.each([
    ['{}', { strictAffinity: false, autoAllocateBlocks: false }],
    [
      '{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4}',
      { strictAffinity: true, autoAllocateBlocks: true, maxBlocksPerHost: 4 },
    ],
  ])('%s, and back', (body, spec) => {
    expect(decodeIpamSpec('IPAMConfiguration', '/calico/ipam/v2/config', body)).toEqual(spec);
    expect(encodeIpamSpec('IPAMConfiguration', spec)).toBe(body);
  });
});
