import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type {
  DesiredUpdate,
  DesiredWorkloadEndpoint,
  EndpointId,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../../src/model/desired.js';
import { SHARED_MAPS } from '../../src/dataplane/ebpf/generation.js';
import { Driver } from './driver.js';
import { type Workload, WorkloadWorld } from './workload-world.js';

const POLICY = 'GlobalNetworkPolicy/only-80' as PolicyId;
const PROFILE = 'open' as ProfileId;
const idOf = (workload: Workload): EndpointId => `default/${workload.name}` as EndpointId;

function endpoint(workload: Workload, more: Partial<DesiredWorkloadEndpoint> = {}): DesiredUpdate {
  const { interfaceName, address } = workload;
  const tiers = [
    { name: 'default', defaultAction: 'deny' as const, ingress: [POLICY], egress: [] },
  ];
  const value = { interfaceName, addresses: [address], tiers, profiles: [PROFILE], ...more };
  return { type: 'workload-endpoint', id: idOf(workload), endpoint: value };
}

const RULES: readonly DesiredUpdate[] = [
  {
    type: 'policy',
    id: POLICY,
    policy: {
      tier: 'default',
      ingress: [
        {
          action: 'allow',
          protocol: 6,
          destination: { ports: [{ first: 80, last: 80 }] },
          index: 0,
        },
      ],
      egress: [],
    },
  },
  {
    type: 'profile',
    id: PROFILE,
    profile: { ingress: [], egress: [{ action: 'allow', index: 0 }] },
  },
];
const IN_SYNC: DesiredUpdate = { type: 'in-sync' };

interface RouteJson {
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly protocol?: string;
  readonly scope?: string;
}

describe('the eBPF driver', () => {
  let world: WorkloadWorld;
  let a: Workload;
  let b: Workload;
  let driver: Driver;
  const pins = (kind: string): string[] => readdirSync(join(world.bpfDir, 'v1', kind)).sort();
  const links = (): string[] => pins('links');
  const ifindexOf = (name: string): number =>
    world.ipJson<{ ifindex: number }>('link', 'show', name)[0]?.ifindex ?? 0;
  const hooksOf = (name: string): string[] => {
    const ifindex = ifindexOf(name);
    return [`${ifindex}-egress`, `${ifindex}-ingress`];
  };
  const ownRoutes = (): RouteJson[] => world.ipJson<RouteJson>('route', 'show', 'proto', '80');

  beforeAll(async () => {
    world = new WorkloadWorld('d');
    a = world.addWorkload('a', '10.66.0.1');
    b = world.addWorkload('b', '10.66.0.2');
    for (const port of [80, 81]) await world.serve(b.netns, port);
    world.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far0');
    world.ip('address', 'add', '192.0.2.1/24', 'dev', 'eth0');
    for (const name of ['eth0', 'far0']) world.ip('link', 'set', name, 'up');
    driver = new Driver(world);
  });
  afterAll(async () => {
    await driver.kill();
    world[Symbol.dispose]();
  });

  test('before it is in sync, workload interfaces are closed and nothing is routed', async () => {
    await driver.apply(...RULES, endpoint(a), endpoint(b));
    expect(links()).toEqual([...hooksOf('calia'), ...hooksOf('calib')].sort());
    expect(ownRoutes()).toEqual([]);
    expect(await world.reaches(a.netns, b.address, 80)).toBe(false);
  });

  test('in sync, what policy allows passes and what it denies does not', async () => {
    await driver.apply(IN_SYNC);
    expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
    expect(await world.reaches(a.netns, b.address, 81)).toBe(false);
    const counters = new Map((await driver.ask({ do: 'counters' })) as [string, number][]);
    expect(counters.get('drop_policy_in') ?? counters.get('drop-policy-in')).toBeGreaterThan(0);
  });

  test('interfaces have programs, routes, settings and the gateway MAC', async () => {
    const host = ['eth0', 'far0'].map((name) => `${ifindexOf(name)}-ingress`);
    expect(links()).toEqual([...hooksOf('calia'), ...hooksOf('calib'), ...host].sort());
    expect(pins('maps')).toEqual([...SHARED_MAPS].sort());
    expect(ownRoutes()).toEqual([
      expect.objectContaining({ dst: a.address, dev: 'calia', scope: 'link' }),
      expect.objectContaining({ dst: b.address, dev: 'calib', scope: 'link' }),
    ]);
    const [link] = world.ipJson<{ address: string }>('link', 'show', 'calia');
    expect(link?.address).toBe('ee:ee:ee:ee:ee:ee');
  });

  test('a workload does not reach its host', async () => {
    await world.serve(world.host, 80);
    expect(await world.reaches(a.netns, '192.0.2.1', 80)).toBe(false);
  });

  test('a process of the host reaches a workload whatever policy says', async () => {
    expect(await world.reaches(world.host, b.address, 81)).toBe(true);
  });

  test('a route that somebody removes comes back', async () => {
    world.ip('route', 'del', `${a.address}/32`);
    expect(await driver.ask({ do: 'until-dirty' })).toBe('dirty');
    await driver.apply();
    expect(ownRoutes()).toHaveLength(2);
  });

  test('a remote range goes to the interface of the next hop', async () => {
    const route = { node: 'other', nextHop: '192.0.2.9' };
    await driver.apply({ type: 'route', cidr: '10.66.9.0/26', route });
    expect(ownRoutes()).toContainEqual(
      expect.objectContaining({ dst: '10.66.9.0/26', gateway: '192.0.2.9', dev: 'eth0' }),
    );
    await driver.apply({ type: 'route-remove', cidr: '10.66.9.0/26' });
    expect(ownRoutes()).toHaveLength(2);
  });

  test('an endpoint with a MAC gets a permanent neighbour', async () => {
    await driver.apply(endpoint(a, { mac: '02:00:00:00:00:0a' }));
    expect(
      world.ipJson<{ dst: string; lladdr: string; state: string[] }>(
        'neigh',
        'show',
        'dev',
        'calia',
      ),
    ).toContainEqual(
      expect.objectContaining({
        dst: a.address,
        lladdr: '02:00:00:00:00:0a',
        state: ['PERMANENT'],
      }),
    );
    await driver.apply(endpoint(a));
  });

  test('an endpoint on an interface that is no workload is left alone and named', async () => {
    const wrong = { ...a, name: 'wrong', interfaceName: 'eth0', address: '10.66.0.77' };
    const answer = await driver.ask({ do: 'apply', updates: [endpoint(wrong)] });
    expect(JSON.stringify(answer)).toContain('default/wrong: interface eth0');
    await driver.apply({ type: 'workload-endpoint-remove', id: idOf(wrong) });
  });

  test.each(['SIGKILL', 'an orderly end'])(
    'a connection outlives %s of the agent and the next one, and so does policy',
    async (how) => {
      using conversation = world.connect(a.netns, b.address, 80);
      expect(await conversation.next()).toBe('open');
      expect(await conversation.say('one')).toBe('one');
      const before = links();
      if (how === 'SIGKILL') await driver.kill();
      else await driver.close();
      expect(await conversation.say('two')).toBe('two');
      expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
      expect(await world.reaches(a.netns, b.address, 81)).toBe(false);
      driver = new Driver(world);
      await driver.apply(...RULES, endpoint(a), endpoint(b));
      expect(await conversation.say('three')).toBe('three');
      expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
      await driver.apply(IN_SYNC);
      expect(links()).toEqual(before);
      expect(await conversation.say('four')).toBe('four');
      expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
      expect(await world.reaches(a.netns, b.address, 81)).toBe(false);
    },
  );

  test('a policy change is in force when apply() has returned', async () => {
    const empty = { tier: 'default', ingress: [], egress: [] };
    await driver.apply({ type: 'policy', id: POLICY, policy: empty });
    expect(await world.reaches(a.netns, b.address, 80)).toBe(false);
    await driver.apply(...RULES);
    expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
  });

  test('an interface that comes back under its name is opened again', async () => {
    world.ip('link', 'del', 'calia');
    expect(await driver.ask({ do: 'until-dirty' })).toBe('dirty');
    await driver.apply();
    expect(links()).toHaveLength(4);
    expect(ownRoutes()).toHaveLength(1);
    world.addVeth(a);
    await driver.apply();
    expect(links()).toHaveLength(6);
    expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
  });

  test('an endpoint that goes takes its connections with it', async () => {
    using conversation = world.connect(a.netns, b.address, 80);
    expect(await conversation.next()).toBe('open');
    await driver.apply({ type: 'workload-endpoint-remove', id: idOf(b) });
    expect(await conversation.say('lost')).toBe('error silence');
    expect(links()).toHaveLength(6);
    await driver.apply(endpoint(b));
    expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
  });

  test('tables that are too small grow under way', async () => {
    await driver.kill();
    const sizes = { nodes: 8, nodes6: 8, infos: 8, endpoints: 4, policySets: 8, arenaLines: 32 };
    driver = new Driver(world, JSON.stringify(sizes));
    await driver.apply(...RULES, endpoint(a), endpoint(b), IN_SYNC);
    const members = Array.from({ length: 40 }, (_, i) => `10.${i}.0.1/32`);
    const set = 'many' as IpSetId;
    const rule = { action: 'deny' as const, source: { ipSets: [set] }, index: 0 };
    const [policy] = RULES as readonly Extract<DesiredUpdate, { type: 'policy' }>[];
    if (!policy) throw new Error('no policy');
    await driver.apply(
      { type: 'ip-set', id: set, kind: 'net', members },
      {
        ...policy,
        policy: { ...policy.policy, ingress: [rule, ...policy.policy.ingress] },
      },
    );
    const { tables } = (await driver.ask({ do: 'statistics' })) as { tables: { nodes: number } };
    expect(tables.nodes).toBeGreaterThan(8);
    expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
    expect(await world.reaches(a.netns, b.address, 81)).toBe(false);
  });

  test('clean-up removes all of it and nothing else', async () => {
    await driver.close();
    world.ip('route', 'add', '198.51.100.0/24', 'via', '192.0.2.2');
    driver = new Driver(world);
    expect(await driver.ask({ do: 'cleanup' })).toEqual([
      'programs detached: 6',
      `maps unpinned: ${SHARED_MAPS.length}`,
      'tunnel devices removed: 0',
      'tables of translations removed: 0',
      'routes removed: 2',
      expect.stringMatching(/^neighbours removed: \d$/),
    ]);
    expect(existsSync(world.bpfDir)).toBe(false);
    expect(world.ipJson<RouteJson>('route', 'show')).toHaveLength(2);
  });
});
