/** Programs as filters of the clsact qdisc, as kernels before 6.6 have them; this kernel can do both. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DesiredUpdate, EndpointId, PolicyId, ProfileId } from '../../src/model/desired.js';
import { Driver } from './driver.js';
import { type Workload, WorkloadWorld } from './workload-world.js';

const POLICY = 'GlobalNetworkPolicy/port' as PolicyId;
const PROFILE = 'open' as ProfileId;

function policyFor(port: number): DesiredUpdate {
  const ports = [{ first: port, last: port }];
  const rule = { action: 'allow', protocol: 6, destination: { ports }, index: 0 } as const;
  return { type: 'policy', id: POLICY, policy: { tier: 'default', ingress: [rule], egress: [] } };
}

const profile: DesiredUpdate = {
  type: 'profile',
  id: PROFILE,
  profile: { ingress: [], egress: [{ action: 'allow', index: 0 }] },
};

function endpointOf({ name, interfaceName, address }: Workload): DesiredUpdate {
  const tiers = [
    { name: 'default', defaultAction: 'deny', ingress: [POLICY], egress: [] },
  ] as const;
  const endpoint = { interfaceName, addresses: [address], tiers, profiles: [PROFILE] };
  return { type: 'workload-endpoint', id: `default/${name}` as EndpointId, endpoint };
}

describe('programs as clsact filters', () => {
  let world: WorkloadWorld;
  let a: Workload;
  let b: Workload;
  let driver: Driver;
  beforeAll(async () => {
    world = new WorkloadWorld('c');
    a = world.addWorkload('a', '10.66.0.1');
    b = world.addWorkload('b', '10.66.0.2');
    for (const port of [80, 81]) await world.serve(b.netns, port);
    driver = new Driver(world, '', 'clsact');
  });
  afterAll(async () => {
    await driver.kill();
    world[Symbol.dispose]();
  });

  const everything = (port: number): readonly DesiredUpdate[] => [
    ...[policyFor(port), profile, endpointOf(a), endpointOf(b)],
    { type: 'in-sync' },
  ];
  const pins = (): readonly string[] => readdirSync(join(world.bpfDir, 'v1', 'links'));
  /** Lines of `tc filter` that name a program. */
  const filters = (name: string, direction: 'ingress' | 'egress'): readonly string[] =>
    execFileSync('tc', ['-n', world.host, 'filter', 'show', 'dev', name, direction], {
      encoding: 'utf8',
    })
      .split('\n')
      .filter((line) => line.includes(' id '));
  const verdicts = async (): Promise<readonly boolean[]> => [
    await world.reaches(a.netns, b.address, 80),
    await world.reaches(a.netns, b.address, 81),
  ];

  test('what policy allows passes and what it denies does not', async () => {
    await driver.apply(...everything(80));
    expect(await verdicts()).toEqual([true, false]);
    expect(pins().every((name) => name.endsWith('-clsact'))).toBe(true);
    expect(pins()).toHaveLength(4);
    for (const direction of ['ingress', 'egress'] as const) {
      expect(filters('calia', direction)).toHaveLength(1);
    }
  });

  test('a killed driver leaves them enforcing; the next adopts and replaces them, a connection lives on', async () => {
    using conversation = world.connect(a.netns, b.address, 80);
    expect(await conversation.next()).toBe('open');
    const before = filters('calib', 'egress');
    await driver.kill();
    expect(await verdicts()).toEqual([true, false]);
    driver = new Driver(world, '', 'clsact');
    await driver.apply(...everything(81));
    expect(await conversation.say('still here')).toBe('still here');
    expect(await verdicts()).toEqual([false, true]);
    expect(filters('calib', 'egress')).toHaveLength(1);
    expect(filters('calib', 'egress')).not.toEqual(before);
  });

  test('a filter that somebody removes comes back with a resync', async () => {
    execFileSync('tc', ['-n', world.host, 'qdisc', 'del', 'dev', 'calib', 'clsact']);
    expect(filters('calib', 'egress')).toEqual([]);
    await driver.ask({ do: 'resync' });
    await driver.apply();
    expect(filters('calib', 'egress')).toHaveLength(1);
    expect(await verdicts()).toEqual([false, true]);
  });

  test('an interface that goes takes its pins along', async () => {
    world.ip('link', 'del', a.interfaceName);
    expect(await driver.ask({ do: 'until-dirty' })).toBe('dirty');
    await driver.apply();
    expect(pins()).toHaveLength(2);
    world.addVeth(a);
    expect(await driver.ask({ do: 'until-dirty' })).toBe('dirty');
    await driver.apply();
    expect(pins()).toHaveLength(4);
    expect(await verdicts()).toEqual([false, true]);
  });

  test('a driver that has tcx moves them over to links, without a gap', async () => {
    using conversation = world.connect(a.netns, b.address, 81);
    expect(await conversation.next()).toBe('open');
    await driver.close();
    driver = new Driver(world, '', 'tcx');
    await driver.apply(...everything(81));
    expect(await conversation.say('moved')).toBe('moved');
    expect(pins().some((name) => name.endsWith('-clsact'))).toBe(false);
    expect(pins()).toHaveLength(4);
    expect(filters('calia', 'ingress')).toEqual([]);
    expect(await verdicts()).toEqual([false, true]);
  });

  test('and back; clean-up leaves no filter', async () => {
    await driver.close();
    driver = new Driver(world, '', 'clsact');
    await driver.apply(...everything(80));
    expect(await verdicts()).toEqual([true, false]);
    expect(filters('calia', 'ingress')).toHaveLength(1);
    await driver.close();
    driver = new Driver(world, '', 'clsact');
    expect(await driver.ask({ do: 'cleanup' })).toContain('programs detached: 4');
    expect(filters('calia', 'ingress')).toEqual([]);
  });
});
