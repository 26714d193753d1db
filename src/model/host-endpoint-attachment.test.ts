import { describe, expect, test } from '@jest/globals';
import type { EndpointId, PolicyStage } from './desired.js';
import {
  type AttachableEndpoint,
  type AttachableInterface,
  attachHostEndpoints,
} from './host-endpoint-attachment.js';

const ALL: readonly PolicyStage[] = ['untracked', 'preDnat', 'normal', 'forward'];
const INTERFACES: readonly AttachableInterface[] = [
  { name: 'lo', addresses: ['127.0.0.1', '::1'], isWorkload: false },
  { name: 'eth0', addresses: ['10.0.0.1', 'fd00::1'], isWorkload: false },
  { name: 'eth1', addresses: ['10.1.0.1'], isWorkload: false },
  { name: 'cali1', addresses: ['169.254.1.1'], isWorkload: true },
];

const named = (interfaceName: string, ...expectedIPs: string[]): AttachableEndpoint => ({
  interfaceName,
  expectedIPs,
});
const addressed = (...expectedIPs: string[]): AttachableEndpoint => named('', ...expectedIPs);

/** Whatever the order of host endpoints and interfaces. */
function attach(
  endpoints: Readonly<Record<string, AttachableEndpoint>>,
  interfaces: readonly AttachableInterface[] = INTERFACES,
) {
  const entries = Object.entries(endpoints) as [EndpointId, AttachableEndpoint][];
  const forwards = attachHostEndpoints(new Map(entries), interfaces);
  const backwards = attachHostEndpoints(new Map(entries.toReversed()), interfaces.toReversed());
  const byInterface = Object.fromEntries(forwards.byInterface);
  expect(Object.fromEntries(backwards.byInterface)).toEqual(byInterface);
  expect(backwards.misplaced).toEqual(forwards.misplaced);
  return { byInterface, misplaced: forwards.misplaced };
}

const governors = (endpoints: Readonly<Record<string, AttachableEndpoint>>) =>
  Object.fromEntries(
    Object.entries(attach(endpoints).byInterface).map(([name, { endpoint }]) => [name, endpoint]),
  );

describe('a host endpoint governs', () => {
  test('nothing when there is none', () => {
    expect(governors({})).toEqual({});
  });

  test('the interface that it names, in every stage', () => {
    expect(attach({ a: named('eth0') }).byInterface).toEqual({
      eth0: { endpoint: 'a', stages: ALL },
    });
  });

  test.each([
    ['of two that name it, the first by bytes', { b: named('eth0'), a: named('eth0') }, 'a'],
    ['m10 before m2', { m2: named('eth0'), m10: named('eth0') }, 'm10'],
    ['a name before an address', { z: named('eth0'), a: addressed('10.0.0.1') }, 'z'],
    ['an address of either family', { a: addressed('fd00::1') }, 'a'],
    [
      'of two addresses, the first by name',
      { b: addressed('10.0.0.1'), a: addressed('fd00::1') },
      'a',
    ],
    ['an address before the wildcard', { a: named('*'), b: addressed('10.0.0.1') }, 'b'],
    ['of two wildcards, the first by name', { b: named('*'), a: named('*') }, 'a'],
  ])('%s', (_about, endpoints, expected) => {
    expect(governors(endpoints)['eth0']).toBe(expected);
  });

  test('several interfaces by their addresses', () => {
    expect(governors({ a: addressed('10.0.0.1', '10.1.0.1') })).toEqual({ eth0: 'a', eth1: 'a' });
  });

  test('nothing by its addresses when it names an interface', () => {
    expect(governors({ a: named('eth9', '10.0.0.1') })).toEqual({});
  });

  test('nothing without name and address', () => {
    expect(governors({ a: addressed() })).toEqual({});
  });

  test('as a wildcard what no other does: host interfaces without the untracked stage', () => {
    expect(attach({ all: named('*'), one: named('eth1') }).byInterface).toEqual({
      eth0: { endpoint: 'all', stages: ['preDnat', 'normal', 'forward'] },
      eth1: { endpoint: 'one', stages: ALL },
      cali1: { endpoint: 'all', stages: ['preDnat', 'forward'] },
    });
  });

  test('never the loopback, nor a workload by name or address, and is called misplaced', () => {
    const endpoints = {
      ...{ b: named('lo'), a: named('cali1'), c: addressed('127.0.0.1', '169.254.1.1') },
      d: named('eth9'),
    };
    expect(attach(endpoints)).toEqual({ byInterface: {}, misplaced: ['a', 'b'] });
  });
});
