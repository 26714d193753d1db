import { describe, expect, test } from '@jest/globals';
import { validateResource } from '../model/api/validate.js';
import type { IPPool } from '../model/api/ip-pool.js';
import { choosePools, type Pool, type PoolRequest, poolOf } from './pool-choice.js';

function pool(name: string, cidr: string, spec: object = {}, status?: object): Pool {
  const document = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name },
    spec: { cidr, ...spec },
    ...(status === undefined ? {} : { status }),
  };
  const result = validateResource(document, { mode: 'stored' });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return poolOf(result.resource as IPPool);
}

const POOLS = [
  pool('z', '10.0.0.0/24'),
  pool('a', '10.0.1.0/24', { nodeSelector: 'rack == "1"' }),
  pool('off', '10.0.2.0/24', { disabled: true }),
  pool('manual', '10.0.3.0/24', { assignmentMode: 'Manual' }),
  pool('team', '10.0.4.0/24', { namespaceSelector: 'team == "x"' }),
  pool(
    'refused',
    '10.0.5.0/24',
    {},
    {
      conditions: [{ type: 'Allocatable', status: 'False', reason: 'CIDROverlap' }],
    },
  ),
  pool('tunnels', '10.0.6.0/24', { allowedUses: ['Tunnel'] }),
  pool('six', 'fd00::/64'),
];

const names = (request: Partial<PoolRequest>): readonly string[] =>
  choosePools(POOLS, {
    family: 4,
    use: 'Workload',
    wanted: [],
    node: { name: 'n', labels: {} },
    ...request,
  }).map(({ name }) => name);

describe('pools of a request', () => {
  test.each<[string, Partial<PoolRequest>, readonly string[]]>([
    ['nothing special', {}, ['z']],
    ['a node that is selected', { node: { name: 'n', labels: { rack: '1' } } }, ['a', 'z']],
    ['a namespace that is selected', { namespaceLabels: { team: 'x' } }, ['team', 'z']],
    ['tunnels', { use: 'Tunnel' }, ['tunnels', 'z']],
    ['IPv6', { family: 6 }, ['six']],
    [
      'named ones, in the caller’s order',
      { wanted: ['10.0.3.0/24', 'z', 'a'] },
      ['manual', 'z', 'a'],
    ],
    ['named ones of another use', { wanted: ['tunnels', 'z'] }, ['z']],
  ])('for %s', (_, request, wanted) => {
    expect(names(request)).toEqual(wanted);
  });

  test.each<[string, Partial<PoolRequest>, string, string]>([
    [
      'disabled',
      { wanted: ['10.0.2.0/24'] },
      'ERR_IPAM_POOL',
      'IPv4 pool 10.0.2.0/24 does not exist or is disabled',
    ],
    [
      'unknown',
      { wanted: ['nope'] },
      'ERR_IPAM_POOL',
      'IPv4 pool nope does not exist or is disabled',
    ],
    [
      'part of a pool',
      { wanted: ['10.0.0.0/25'] },
      'ERR_IPAM_POOL',
      'IPv4 pool 10.0.0.0/25 does not exist or is disabled',
    ],
    [
      'not allocatable',
      { wanted: ['refused'] },
      'ERR_IPAM_POOL',
      'IPv4 pool refused does not exist or is disabled',
    ],
    [
      'of the wrong family',
      { wanted: ['fd00::/64'] },
      'ERR_IPAM_REQUEST',
      'pool fd00::/64 is not of IPv4',
    ],
    [
      'for another use',
      { use: 'LoadBalancer' },
      'ERR_IPAM_POOL',
      'no configured IPv4 pools for n: no pool for the use LoadBalancer among tunnels, z',
    ],
  ])('a pool that is %s is refused by name', (_, request, code, message) => {
    expect(() => names(request)).toThrow(expect.objectContaining({ code, message }));
  });

  test('no pool at all is told apart from none that selects the node', () => {
    const node = { name: 'n', labels: {} };
    const request = { family: 4, use: 'Workload', wanted: [], node } as const;
    expect(() => choosePools([], request)).toThrow(
      'no configured IPv4 pools for n: none is enabled',
    );
    expect(() =>
      choosePools(
        POOLS.filter(({ name }) => name === 'a'),
        request,
      ),
    ).toThrow('no configured IPv4 pools for n: none of a selects node n');
  });
});
