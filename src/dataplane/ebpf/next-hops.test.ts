import { describe, expect, test } from '@jest/globals';
import { NextHops } from './next-hops.js';
import { NEXTHOP_WORDS } from './tables/policy-maps.js';

const A = { ifindex: 3, gateway: '10.0.0.1' };
const B = { ifindex: 3, gateway: '10.0.0.2' };
const C = { ifindex: 4, gateway: null };

const view = (records: number): Uint32Array => new Uint32Array(records * NEXTHOP_WORDS[4]);
/** Of each record from the second on. */
const interfaces = (memory: Uint32Array): readonly (number | undefined)[] =>
  [1, 2, 3].map((index) => memory[index * NEXTHOP_WORDS[4]]);

describe('next hops', () => {
  test('no next hop is record 0', () => {
    expect(new NextHops(view(4), 4).acquire(null)).toBe(0);
  });

  test('equal next hops share a record; the gateway is in network order', () => {
    const memory = view(4);
    const hops = new NextHops(memory, 4);
    expect([hops.acquire(A), hops.acquire(A), hops.acquire(B)]).toEqual([1, 1, 2]);
    expect([...new Uint8Array(memory.buffer, NEXTHOP_WORDS[4] * 4 + 4, 4)]).toEqual([10, 0, 0, 1]);
    expect(interfaces(memory)).toEqual([3, 3, 0]);
  });

  test('through a tunnel they are others, with both ends in network order', () => {
    const memory = view(4);
    const hops = new NextHops(memory, 4);
    const tunnel = { source: '192.0.2.1', destination: '192.0.2.2' };
    expect([hops.acquire(A), hops.acquire({ ...A, tunnel })]).toEqual([1, 2]);
    const ends = new Uint8Array(memory.buffer, 2 * NEXTHOP_WORDS[4] * 4 + 8, 8);
    expect([...ends]).toEqual([192, 0, 2, 2, 192, 0, 2, 1]);
  });

  test('the next generation finds what it wants under the same number', () => {
    const memory = view(8);
    const old = new NextHops(memory, 4);
    for (const hop of [A, B, C]) old.acquire(hop);
    const young = new NextHops(memory, 4);
    expect([young.acquire(C), young.acquire(B)]).toEqual([3, 2]);
    expect(interfaces(memory)).toEqual([3, 3, 4]);
    young.retireUnused();
    expect(interfaces(memory)).toEqual([0, 3, 4]);
  });

  test('a released record leaves its connections to the host and is reused last', () => {
    const memory = view(4);
    const hops = new NextHops(memory, 4);
    hops.acquire(A);
    hops.acquire(A);
    hops.release(A);
    expect(interfaces(memory)[0]).toBe(3);
    hops.release(A);
    expect(interfaces(memory)[0]).toBe(0);
    expect([hops.acquire(B), hops.acquire(C), hops.acquire(A)]).toEqual([2, 3, 1]);
  });

  test('when all are taken, the host routes', () => {
    const hops = new NextHops(view(2), 4);
    expect([hops.acquire(A), hops.acquire(B)]).toEqual([1, 0]);
    hops.release(B);
    expect(hops.used).toBe(1);
  });
});
