import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DesiredUpdate, EndpointId, PolicyId, ProfileId } from '../../src/model/desired.js';
import { Driver } from './driver.js';
import { type Workload, WorkloadWorld } from './workload-world.js';

const POLICY = 'GlobalNetworkPolicy/only-80' as PolicyId;
const PROFILE = 'open' as ProfileId;
const port80 = { action: 'allow', protocol: 6, destination: { ports: [{ first: 80, last: 80 }] } };
const echo = { action: 'allow', protocol: 58, icmp: { type: 128 } };

const policy = (...ingress: readonly object[]): DesiredUpdate => ({
  type: 'policy',
  id: POLICY,
  policy: {
    tier: 'default',
    ingress: ingress.map((rule, index) => ({ ...rule, index })) as never,
    egress: [],
  },
});

function endpoint({ name, interfaceName, address, address6 }: Workload): DesiredUpdate {
  return {
    type: 'workload-endpoint',
    id: `default/${name}` as EndpointId,
    endpoint: {
      interfaceName,
      addresses: [address, ...(address6 === undefined ? [] : [address6])],
      tiers: [{ name: 'default', defaultAction: 'deny', ingress: [POLICY], egress: [] }],
      profiles: [PROFILE],
    },
  };
}

describe('the eBPF driver and IPv6', () => {
  let world: WorkloadWorld;
  let a: Workload;
  let b: Workload;
  let driver: Driver;
  const B6 = 'fd66::2';

  const pings = (netns: string, ...args: readonly string[]): boolean => {
    const argv = ['netns', 'exec', netns, 'ping', '-c', '1', '-W', '1', ...args];
    try {
      execFileSync('ip', argv, { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };

  beforeAll(async () => {
    world = new WorkloadWorld('six');
    a = world.addWorkload('a', '10.66.0.1', 'fd66::1');
    b = world.addWorkload('b', '10.66.0.2', B6);
    for (const port of [80, 81]) await world.serve(b.netns, port);
    driver = new Driver(world);
    const open: DesiredUpdate = {
      type: 'profile',
      id: PROFILE,
      profile: { ingress: [], egress: [{ action: 'allow', index: 0 }] },
    };
    await driver.apply(open, policy(port80), endpoint(a), endpoint(b), { type: 'in-sync' });
  });
  afterAll(async () => {
    await driver.kill();
    world[Symbol.dispose]();
  });

  test('routes, settings and forwarding are there', () => {
    const routes = world.ipJson<{ dst: string; dev: string }>('-6', 'route', 'show', 'proto', '80');
    expect(routes.map(({ dst, dev }) => `${dst} ${dev}`)).toEqual([
      ...['fd66::1 calia', `${B6} calib`],
    ]);
    const read = (name: string): string =>
      execFileSync('ip', [
        ...['netns', 'exec', world.host, 'cat', `/proc/sys/net/ipv6/conf/${name}`],
      ])
        .toString()
        .trim();
    expect([read('all/forwarding'), read('calia/accept_ra'), read('calia/proxy_ndp')]).toEqual([
      ...['1', '0', '1'],
    ]);
  });

  test('what policy allows passes and what it denies does not, in both families', async () => {
    for (const address of [b.address, B6]) {
      expect(await world.reaches(a.netns, address, 80)).toBe(true);
      expect(await world.reaches(a.netns, address, 81)).toBe(false);
    }
    const counters = new Map((await driver.ask({ do: 'counters' })) as [string, number][]);
    // Workloads found their gateway although no rule speaks of ICMPv6.
    expect(counters.get('ok_neighbor')).toBeGreaterThan(0);
  });

  test('types of ICMPv6 are for policy, also between workloads', async () => {
    expect(pings(a.netns, B6)).toBe(false);
    await driver.apply(policy(port80, echo));
    expect(pings(a.netns, B6)).toBe(true);
    expect(pings(b.netns, 'fd66::1')).toBe(true);
  });

  test('datagrams in fragments arrive, in both families, if policy lets them', async () => {
    const wide = (address: string): boolean => pings(a.netns, '-s', '4000', address);
    const ping4 = { action: 'allow', protocol: 1, icmp: { type: 8 } };
    await driver.apply(policy(port80, echo, ping4));
    expect([wide(B6), wide(b.address)]).toEqual([true, true]);
    await driver.apply(policy(port80));
    expect([wide(B6), wide(b.address)]).toEqual([false, false]);
    await driver.apply(policy(port80, echo));
    expect([wide(B6), wide(b.address)]).toEqual([true, false]);
  });

  test('a workload cannot send from an address that is not its own', () => {
    execFileSync('ip', ['-n', a.netns, 'address', 'add', 'fd66::99/128', 'dev', 'eth0', 'nodad']);
    expect(pings(a.netns, '-I', 'fd66::99', B6)).toBe(false);
    expect(pings(a.netns, '-I', 'fd66::1', B6)).toBe(true);
  });

  test('the host reaches its workloads, and they do not reach it', async () => {
    await world.serve(world.host, 80);
    world.ip('address', 'add', 'fd99::1/128', 'dev', 'lo');
    expect(pings(world.host, '-I', 'fd99::1', B6)).toBe(true);
    await driver.apply(policy(port80));
    expect(await world.reaches(a.netns, 'fd99::1', 80)).toBe(false);
    expect(await world.reaches(world.host, B6, 81)).toBe(true);
  });

  test('an endpoint that has gone takes its route and its connections along', async () => {
    using conversation = world.connect(a.netns, B6, 80);
    expect(await conversation.next()).toBe('open');
    await driver.apply({
      type: 'workload-endpoint-remove',
      id: 'default/b' as EndpointId,
    });
    expect(await conversation.say('lost')).toBe('error silence');
    const routes = world.ipJson<{ dst: string }>('-6', 'route', 'show', 'proto', '80');
    expect(routes.map(({ dst }) => dst)).toEqual(['fd66::1']);
  });
});
