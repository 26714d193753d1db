/** Host endpoints on a real host: processes in its namespace, in a neighbour's and behind it, and real sockets. */
import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { IpFamily } from '../../src/base/net/ip.js';
import type {
  DesiredHostEndpoint,
  DesiredRule,
  DesiredUpdate,
  EndpointId,
  PolicyId,
  PolicyStage,
  ProfileId,
} from '../../src/model/desired.js';
import { Driver } from './driver.js';
import { type Workload, WorkloadWorld } from './workload-world.js';

/** Addresses of one family. */
interface Plan {
  readonly family: IpFamily;
  readonly hostAddress: string;
  readonly neighbourAddress: string;
  readonly outside: string;
  /** Behind the host, in a network that it routes to. */
  readonly behindAddress: string;
  readonly towardsBehind: string;
  readonly podAddress: string;
  readonly pods: string;
  readonly linkPrefix: number;
}

const PLANS: readonly Plan[] = [
  {
    ...{ family: 4, hostAddress: '192.0.2.1', neighbourAddress: '192.0.2.2' },
    ...{ outside: '192.0.2.0/24', behindAddress: '198.51.100.2', towardsBehind: '198.51.100.1' },
    ...{ podAddress: '10.65.0.2', pods: '10.65.0.0/16', linkPrefix: 24 },
  },
  {
    ...{ family: 6, hostAddress: '2001:db8:1::1', neighbourAddress: '2001:db8:1::2' },
    ...{ outside: '2001:db8:1::/64', behindAddress: '2001:db8:2::2', linkPrefix: 64 },
    ...{ towardsBehind: '2001:db8:2::1', podAddress: 'fd00:65::2', pods: 'fd00:65::/64' },
  },
];
const PATIENCE_MS = 10_000;
const OPEN = 'open' as ProfileId;
const HEP = 'eth0' as EndpointId;
const STAGES: readonly PolicyStage[] = ['untracked', 'preDnat', 'normal', 'forward'];

const policyId = (stage: PolicyStage): PolicyId => `GlobalNetworkPolicy/${stage}` as PolicyId;

interface StagePolicy {
  readonly ingress?: readonly Omit<DesiredRule, 'index'>[];
  readonly egress?: readonly Omit<DesiredRule, 'index'>[];
}

/** A host endpoint and a policy of its own in each of the given stages. */
function hostEndpoint(
  stages: Partial<Record<PolicyStage, StagePolicy>>,
  interfaceName = 'eth0',
): DesiredUpdate[] {
  const numbered = (rules: StagePolicy['ingress']): DesiredRule[] =>
    (rules ?? []).map((rule, index) => ({ ...rule, index }));
  const policies = STAGES.flatMap((stage): DesiredUpdate[] => {
    const rules = stages[stage];
    if (rules === undefined) return [];
    const policy = {
      tier: 'default',
      ingress: numbered(rules.ingress),
      egress: numbered(rules.egress),
    };
    return [{ type: 'policy', id: policyId(stage), policy }];
  });
  const tiersOf = (stage: PolicyStage): DesiredHostEndpoint['tiers'][PolicyStage] => {
    const rules = stages[stage];
    if (rules === undefined) return [];
    const passes = stage === 'untracked' || stage === 'preDnat';
    const ids = [policyId(stage)];
    return [
      {
        name: 'default',
        defaultAction: passes ? 'pass' : 'deny',
        ingress: rules.ingress === undefined ? [] : ids,
        egress: rules.egress === undefined ? [] : ids,
      },
    ];
  };
  const tiers = {
    untracked: tiersOf('untracked'),
    preDnat: tiersOf('preDnat'),
    normal: tiersOf('normal'),
    forward: tiersOf('forward'),
  };
  const endpoint = { interfaceName, expectedIPs: [], tiers, profiles: [] };
  return [...policies, { type: 'host-endpoint', id: HEP, endpoint }];
}

const toPort = (port: number): Omit<DesiredRule, 'index'> => ({
  ...{ action: 'allow', protocol: 6 },
  destination: { ports: [{ first: port, last: port }] },
});
const ANY: Omit<DesiredRule, 'index'> = { action: 'allow' };

function podUpdates({ interfaceName, address, address6, name }: Workload): DesiredUpdate[] {
  const rules: DesiredRule[] = [{ action: 'allow', index: 0 }];
  const addresses = [address, ...(address6 === undefined ? [] : [address6])];
  const endpoint = { interfaceName, addresses, tiers: [], profiles: [OPEN] };
  return [
    { type: 'profile', id: OPEN, profile: { ingress: rules, egress: rules } },
    { type: 'workload-endpoint', id: `default/${name}` as EndpointId, endpoint },
  ];
}

describe.each(PLANS)('host endpoints, IPv$family', (plan) => {
  const { family, hostAddress, neighbourAddress, behindAddress, podAddress } = plan;
  const hostBits = family === 4 ? 32 : 128;
  let world: WorkloadWorld;
  let driver: Driver;
  let neighbour: string;
  let behind: string;
  let pod: Workload;
  const iptables = (...args: readonly string[]): unknown =>
    execFileSync('nsenter', [
      `--net=${world.path}`,
      family === 4 ? 'iptables' : 'ip6tables',
      '-t',
      'nat',
      ...args,
    ]);
  const inNeighbour = (...args: readonly string[]): unknown =>
    execFileSync('ip', [`-${family}`, '-n', neighbour, ...args]);

  const addAddress = (netns: string, address: string, link: string): void => {
    const add = ['-n', netns, 'address', 'add', `${address}/${plan.linkPrefix}`, 'dev', link];
    execFileSync('ip', family === 4 ? add : [...add, 'nodad']);
  };

  const open = (netns: string, address: string, port: number): Promise<boolean> =>
    world.reaches(netns, address, port);

  /** As open(), where it is meant to: a busy machine may take its time. */
  const opens = (netns: string, address: string, port: number): Promise<boolean> =>
    world.reaches(netns, address, port, PATIENCE_MS);

  beforeAll(async () => {
    world = new WorkloadWorld(`hep${family}`);
    neighbour = world.addNetns('n');
    behind = world.addNetns('b');
    world.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', neighbour);
    world.ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', behind);
    addAddress(world.host, hostAddress, 'eth0');
    addAddress(world.host, plan.towardsBehind, 'eth1');
    addAddress(neighbour, neighbourAddress, 'eth0');
    for (const name of ['eth0', 'eth1']) world.ip('link', 'set', name, 'up');
    inNeighbour('link', 'set', 'eth0', 'up');
    inNeighbour('route', 'add', 'default', 'via', hostAddress);
    const inBehind = (...args: readonly string[]): unknown =>
      execFileSync('ip', [`-${family}`, '-n', behind, ...args]);
    addAddress(behind, behindAddress, 'eth0');
    inBehind('link', 'set', 'eth0', 'up');
    inBehind('route', 'add', 'default', 'via', plan.towardsBehind);
    for (const port of [22, 80, 81]) await world.serve(world.host, port);
    for (const port of [80, 81]) await world.serve(neighbour, port);
    await world.serve(behind, 80);
    pod = world.addWorkload('w', '10.65.0.2', family === 4 ? undefined : podAddress);
    await world.serve(pod.netns, 80);
    driver = new Driver(world);
    await driver.apply({ type: 'in-sync' });
  });
  afterAll(async () => {
    await driver.close();
    world[Symbol.dispose]();
  });

  test('without one, the host is open', async () => {
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
    expect(await opens(world.host, neighbourAddress, 80)).toBe(true);
    expect(await opens(neighbour, behindAddress, 80)).toBe(true);
  });

  test('without policy and profile it closes the host, except failsafe ports', async () => {
    await driver.apply(...hostEndpoint({}));
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    expect(await open(world.host, neighbourAddress, 80)).toBe(false);
    expect(await opens(neighbour, hostAddress, 22)).toBe(true);
    // Forwarded traffic, the loopback and other interfaces are not its business.
    expect(await opens(neighbour, behindAddress, 80)).toBe(true);
    expect(await opens(world.host, hostAddress, 80)).toBe(true);
    expect(await opens(behind, plan.towardsBehind, 80)).toBe(true);
  });

  test('a failsafe port stays open under a policy that denies everything', async () => {
    await driver.apply(...hostEndpoint({ normal: { ingress: [{ action: 'deny' }], egress: [] } }));
    expect(await opens(neighbour, hostAddress, 22)).toBe(true);
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
  });

  test('normal policy decides each direction by itself', async () => {
    await driver.apply(
      ...hostEndpoint({ normal: { ingress: [toPort(80)], egress: [toPort(81)] } }),
    );
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
    expect(await open(neighbour, hostAddress, 81)).toBe(false);
    expect(await opens(world.host, neighbourAddress, 81)).toBe(true);
    expect(await open(world.host, neighbourAddress, 80)).toBe(false);
  });

  test('both addresses of a packet count', async () => {
    const rule = { ...toPort(80), source: { nets: [`${neighbourAddress}/${hostBits}`] } };
    const to = (address: string) => ({
      ...rule,
      destination: { ...rule.destination, nets: [`${address}/${hostBits}`] },
    });
    await driver.apply(
      ...hostEndpoint({ normal: { ingress: [to(plan.towardsBehind)], egress: [ANY] } }),
    );
    expect(await opens(neighbour, plan.towardsBehind, 80)).toBe(true);
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    await driver.apply(...hostEndpoint({ normal: { ingress: [to(hostAddress)], egress: [ANY] } }));
    expect(await open(neighbour, plan.towardsBehind, 80)).toBe(false);
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
  });

  test('a datagram in fragments is judged as a whole', async () => {
    const echoes = (): boolean => {
      const ping = ['ping', `-${family}`, '-c', '1', '-W', '2', '-s', '4000', hostAddress];
      const { status } = spawnSync('nsenter', [`--net=/run/netns/${neighbour}`, ...ping]);
      return status === 0;
    };
    const protocol = family === 4 ? 1 : 58;
    await driver.apply(
      ...hostEndpoint({ normal: { ingress: [{ ...ANY, protocol }], egress: [] } }),
    );
    expect(echoes()).toBe(true);
    await driver.apply(...hostEndpoint({ normal: { ingress: [toPort(80)], egress: [] } }));
    expect(echoes()).toBe(false);
  });

  test('neighbour discovery needs no rule', async () => {
    await driver.apply(...hostEndpoint({}));
    for (const netns of [world.host, neighbour])
      execFileSync('ip', [`-${family}`, '-n', netns, 'neighbour', 'flush', 'dev', 'eth0']);
    expect(await opens(neighbour, hostAddress, 22)).toBe(true);
  });

  test('an established connection outlives the policy that allowed it, and a restart', async () => {
    await driver.apply(...hostEndpoint({ normal: { ingress: [toPort(80)], egress: [] } }));
    using talk = world.connect(neighbour, hostAddress, 80, PATIENCE_MS);
    expect(await talk.next()).toBe('open');
    await driver.apply(...hostEndpoint({ normal: { ingress: [], egress: [] } }));
    expect(await talk.say('still')).toBe('still');
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    await driver.kill();
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    expect(await opens(neighbour, hostAddress, 22)).toBe(true);
    driver = new Driver(world);
    await driver.apply(...hostEndpoint({ normal: { ingress: [], egress: [] } }), {
      type: 'in-sync',
    });
    expect(await talk.say('again')).toBe('again');
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
  });

  test('forward policy decides about what passes through, and replies pass', async () => {
    await driver.apply(...hostEndpoint({ forward: { ingress: [toPort(81)] } }));
    expect(await open(neighbour, behindAddress, 80)).toBe(false);
    await driver.apply(...hostEndpoint({ forward: { ingress: [toPort(80)] } }));
    expect(await opens(neighbour, behindAddress, 80)).toBe(true);
    expect(await opens(behind, neighbourAddress, 80)).toBe(true);
    await driver.apply(...hostEndpoint({ forward: { egress: [toPort(81)] } }));
    expect(await open(behind, neighbourAddress, 80)).toBe(false);
    expect(await opens(behind, neighbourAddress, 81)).toBe(true);
    expect(await opens(neighbour, behindAddress, 80)).toBe(true);
  });

  test('forward policy decides about workloads, whose packets pass by the stack', async () => {
    await driver.apply(...hostEndpoint({}), ...podUpdates(pod));
    expect(await opens(neighbour, podAddress, 80)).toBe(true);
    expect(await opens(pod.netns, neighbourAddress, 80)).toBe(true);
    await driver.apply(
      ...hostEndpoint({ forward: { ingress: [toPort(81)], egress: [toPort(81)] } }),
    );
    expect(await open(neighbour, podAddress, 80)).toBe(false);
    expect(await open(pod.netns, neighbourAddress, 80)).toBe(false);
    expect(await opens(pod.netns, neighbourAddress, 81)).toBe(true);
    expect(await opens(world.host, podAddress, 80)).toBe(true);
  });

  test('preDNAT policy sees the address that the client asked for', async () => {
    const podPort80 = family === 4 ? `${podAddress}:80` : `[${podAddress}]:80`;
    iptables('-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080', '-j', 'DNAT', '--to', podPort80);
    // Translated packets are forwarded: normal policy, which denies everything, is not asked.
    await driver.apply(...hostEndpoint({}));
    expect(await opens(neighbour, hostAddress, 8080)).toBe(true);
    using talk = world.connect(neighbour, hostAddress, 8080, PATIENCE_MS);
    expect(await talk.next()).toBe('open');
    await driver.apply(
      ...hostEndpoint({ preDnat: { ingress: [{ ...toPort(8080), action: 'deny' }] } }),
    );
    expect(await open(neighbour, hostAddress, 8080)).toBe(false);
    expect(await opens(neighbour, hostAddress, 22)).toBe(true);
    expect(await talk.say('goes on')).toBe('goes on');
    // What it allows, the forward and normal stages of this interface are not asked about.
    const closed = { ingress: [], egress: [] };
    await driver.apply(
      ...hostEndpoint({
        preDnat: { ingress: [toPort(8080), toPort(81)] },
        ...{ forward: closed, normal: closed },
      }),
    );
    expect(await opens(neighbour, hostAddress, 8080)).toBe(true);
    expect(await opens(neighbour, hostAddress, 81)).toBe(true);
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    expect(await open(neighbour, podAddress, 80)).toBe(false);
    iptables('-F', 'PREROUTING');
  });

  test('a connection older than the host endpoint goes on', async () => {
    await driver.apply({ type: 'host-endpoint-remove', id: HEP });
    using talk = world.connect(neighbour, hostAddress, 80, PATIENCE_MS);
    expect(await talk.next()).toBe('open');
    await driver.apply(...hostEndpoint({}));
    expect(await talk.say('older')).toBe('older');
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
  });

  test('untracked policy judges every packet by itself, before all others', async () => {
    const from = (port: number) => ({
      ...{ action: 'allow' as const, protocol: 6 },
      source: { ports: [{ first: port, last: port }] },
    });
    const closed = { ingress: [], egress: [] };
    // Nobody remembers the connection: replies need a rule of their own.
    await driver.apply(
      ...hostEndpoint({ untracked: { ingress: [toPort(80)], egress: [] }, normal: closed }),
    );
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    await driver.apply(
      ...hostEndpoint({ untracked: { ingress: [toPort(80)], egress: [from(80)] }, normal: closed }),
    );
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
    expect(await open(neighbour, hostAddress, 81)).toBe(false);
    expect(await opens(neighbour, hostAddress, 22)).toBe(true);
    // A denial cuts what is established.
    const all = { ingress: [ANY], egress: [ANY] };
    await driver.apply(...hostEndpoint({ normal: all }));
    using talk = world.connect(neighbour, hostAddress, 80, 2000);
    using failsafe = world.connect(neighbour, hostAddress, 22, PATIENCE_MS);
    expect([await talk.next(), await failsafe.next()]).toEqual(['open', 'open']);
    await driver.apply(
      ...hostEndpoint({ untracked: { ingress: [{ action: 'deny' }] }, normal: all }),
    );
    expect(await talk.say('cut')).toBe('error silence');
    expect(await failsafe.say('kept')).toBe('kept');
    expect(await open(neighbour, podAddress, 80)).toBe(false);
    await driver.apply(...hostEndpoint({ normal: all }));
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
  });

  test('a resync neither opens what is governed nor keeps what has gone', async () => {
    await driver.apply(...hostEndpoint({}));
    await driver.ask({ do: 'resync' });
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    await driver.apply({ type: 'host-endpoint-remove', id: HEP });
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
  });

  test('natOutgoing hides workloads from what is outside all pools', async () => {
    const pool = (natOutgoing: boolean): DesiredUpdate => ({
      ...{ type: 'pool', name: 'p' },
      pool: { cidr: plan.pods, natOutgoing },
    });
    const closed = { ingress: [{ action: 'deny' as const }] };
    // The neighbour has no way back to the workload, only to the host; and nobody may open anything to either.
    inNeighbour('route', 'del', 'default');
    await driver.apply(
      ...hostEndpoint({ preDnat: closed, normal: { ...closed, egress: [] } }),
      ...[...podUpdates(pod), pool(false)],
    );
    expect(await open(pod.netns, neighbourAddress, 80)).toBe(false);
    await driver.apply(pool(true));
    expect(await opens(pod.netns, neighbourAddress, 80)).toBe(true);
    await driver.apply({
      type: 'pool',
      name: 'n',
      pool: { cidr: plan.outside, natOutgoing: false },
    });
    expect(await open(pod.netns, neighbourAddress, 80)).toBe(false);
    await driver.apply({ type: 'pool-remove', name: 'n' }, { type: 'pool-remove', name: 'p' });
    expect(await open(pod.netns, neighbourAddress, 80)).toBe(false);
    inNeighbour('route', 'add', 'default', 'via', hostAddress);
  });

  test('a wildcard governs what no other does', async () => {
    const named = hostEndpoint({ normal: { ingress: [ANY], egress: [ANY] } });
    const wildcard = hostEndpoint({}, '*').map((update) => ({
      ...update,
      id: update.type === 'host-endpoint' ? 'any' : update.type,
    })) as DesiredUpdate[];
    await driver.apply(...named, ...wildcard);
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
    expect(await open(behind, plan.towardsBehind, 80)).toBe(false);
    expect(await opens(world.host, plan.towardsBehind, 80)).toBe(true);
    await driver.apply({ type: 'host-endpoint-remove', id: HEP });
    expect(await open(neighbour, hostAddress, 80)).toBe(false);
    await driver.apply({ type: 'host-endpoint-remove', id: 'any' as EndpointId });
    expect(await opens(neighbour, hostAddress, 80)).toBe(true);
  });
});
