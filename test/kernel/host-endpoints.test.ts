/** Host endpoints on a real host: processes in its namespace, in a neighbour's and behind it, and real sockets. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
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

const HOST = '192.0.2.1';
const NEIGHBOUR = '192.0.2.2';
/** Behind the host, in a network that it routes to. */
const BEHIND = '198.51.100.2';
const PATIENCE_MS = 10_000;
const POD = '10.65.0.2';
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

function podUpdates({ interfaceName, address, name }: Workload): DesiredUpdate[] {
  const rules: DesiredRule[] = [{ action: 'allow', index: 0 }];
  const endpoint = { interfaceName, addresses: [address], tiers: [], profiles: [OPEN] };
  return [
    { type: 'profile', id: OPEN, profile: { ingress: rules, egress: rules } },
    { type: 'workload-endpoint', id: `default/${name}` as EndpointId, endpoint },
  ];
}

describe('host endpoints', () => {
  let world: WorkloadWorld;
  let driver: Driver;
  let neighbour: string;
  let behind: string;
  let pod: Workload;
  const iptables = (...args: readonly string[]): unknown =>
    execFileSync('nsenter', [`--net=${world.path}`, 'iptables', '-t', 'nat', ...args]);
  const inNeighbour = (...args: readonly string[]): unknown =>
    execFileSync('ip', ['-n', neighbour, ...args]);

  const open = (netns: string, address: string, port: number): Promise<boolean> =>
    world.reaches(netns, address, port);

  /** As open(), where it is meant to: a busy machine may take its time. */
  const opens = (netns: string, address: string, port: number): Promise<boolean> =>
    world.reaches(netns, address, port, PATIENCE_MS);

  beforeAll(async () => {
    world = new WorkloadWorld('hep');
    neighbour = world.addNetns('n');
    behind = world.addNetns('b');
    world.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', neighbour);
    world.ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', behind);
    world.ip('address', 'add', `${HOST}/24`, 'dev', 'eth0');
    world.ip('address', 'add', '198.51.100.1/24', 'dev', 'eth1');
    inNeighbour('address', 'add', `${NEIGHBOUR}/24`, 'dev', 'eth0');
    for (const name of ['eth0', 'eth1']) world.ip('link', 'set', name, 'up');
    inNeighbour('link', 'set', 'eth0', 'up');
    inNeighbour('route', 'add', 'default', 'via', HOST);
    const inBehind = (...args: readonly string[]): unknown =>
      execFileSync('ip', ['-n', behind, ...args]);
    inBehind('address', 'add', `${BEHIND}/24`, 'dev', 'eth0');
    inBehind('link', 'set', 'eth0', 'up');
    inBehind('route', 'add', 'default', 'via', '198.51.100.1');
    for (const port of [22, 80, 81]) await world.serve(world.host, port);
    for (const port of [80, 81]) await world.serve(neighbour, port);
    await world.serve(behind, 80);
    pod = world.addWorkload('w', POD);
    await world.serve(pod.netns, 80);
    driver = new Driver(world);
    await driver.apply({ type: 'in-sync' });
  });
  afterAll(async () => {
    await driver.close();
    world[Symbol.dispose]();
  });

  test('without one, the host is open', async () => {
    expect(await opens(neighbour, HOST, 80)).toBe(true);
    expect(await opens(world.host, NEIGHBOUR, 80)).toBe(true);
    expect(await opens(neighbour, BEHIND, 80)).toBe(true);
  });

  test('without policy and profile it closes the host, except failsafe ports', async () => {
    await driver.apply(...hostEndpoint({}));
    expect(await open(neighbour, HOST, 80)).toBe(false);
    expect(await open(world.host, NEIGHBOUR, 80)).toBe(false);
    expect(await opens(neighbour, HOST, 22)).toBe(true);
    // Forwarded traffic, the loopback and other interfaces are not its business.
    expect(await opens(neighbour, BEHIND, 80)).toBe(true);
    expect(await opens(world.host, HOST, 80)).toBe(true);
    expect(await opens(behind, '198.51.100.1', 80)).toBe(true);
  });

  test('a failsafe port stays open under a policy that denies everything', async () => {
    await driver.apply(...hostEndpoint({ normal: { ingress: [{ action: 'deny' }], egress: [] } }));
    expect(await opens(neighbour, HOST, 22)).toBe(true);
    expect(await open(neighbour, HOST, 80)).toBe(false);
  });

  test('normal policy decides each direction by itself', async () => {
    await driver.apply(
      ...hostEndpoint({ normal: { ingress: [toPort(80)], egress: [toPort(81)] } }),
    );
    expect(await opens(neighbour, HOST, 80)).toBe(true);
    expect(await open(neighbour, HOST, 81)).toBe(false);
    expect(await opens(world.host, NEIGHBOUR, 81)).toBe(true);
    expect(await open(world.host, NEIGHBOUR, 80)).toBe(false);
  });

  test('both addresses of a packet count', async () => {
    const rule = { ...toPort(80), source: { nets: [`${NEIGHBOUR}/32`] } };
    const to = (address: string) => ({
      ...rule,
      destination: { ...rule.destination, nets: [`${address}/32`] },
    });
    await driver.apply(
      ...hostEndpoint({ normal: { ingress: [to('198.51.100.1')], egress: [ANY] } }),
    );
    expect(await opens(neighbour, '198.51.100.1', 80)).toBe(true);
    expect(await open(neighbour, HOST, 80)).toBe(false);
    await driver.apply(...hostEndpoint({ normal: { ingress: [to(HOST)], egress: [ANY] } }));
    expect(await open(neighbour, '198.51.100.1', 80)).toBe(false);
    expect(await opens(neighbour, HOST, 80)).toBe(true);
  });

  test('an established connection outlives the policy that allowed it, and a restart', async () => {
    await driver.apply(...hostEndpoint({ normal: { ingress: [toPort(80)], egress: [] } }));
    using talk = world.connect(neighbour, HOST, 80, PATIENCE_MS);
    expect(await talk.next()).toBe('open');
    await driver.apply(...hostEndpoint({ normal: { ingress: [], egress: [] } }));
    expect(await talk.say('still')).toBe('still');
    expect(await open(neighbour, HOST, 80)).toBe(false);
    await driver.kill();
    expect(await open(neighbour, HOST, 80)).toBe(false);
    expect(await opens(neighbour, HOST, 22)).toBe(true);
    driver = new Driver(world);
    await driver.apply(...hostEndpoint({ normal: { ingress: [], egress: [] } }), {
      type: 'in-sync',
    });
    expect(await talk.say('again')).toBe('again');
    expect(await open(neighbour, HOST, 80)).toBe(false);
  });

  test('forward policy decides about what passes through, and replies pass', async () => {
    await driver.apply(...hostEndpoint({ forward: { ingress: [toPort(81)] } }));
    expect(await open(neighbour, BEHIND, 80)).toBe(false);
    await driver.apply(...hostEndpoint({ forward: { ingress: [toPort(80)] } }));
    expect(await opens(neighbour, BEHIND, 80)).toBe(true);
    expect(await opens(behind, NEIGHBOUR, 80)).toBe(true);
    await driver.apply(...hostEndpoint({ forward: { egress: [toPort(81)] } }));
    expect(await open(behind, NEIGHBOUR, 80)).toBe(false);
    expect(await opens(behind, NEIGHBOUR, 81)).toBe(true);
    expect(await opens(neighbour, BEHIND, 80)).toBe(true);
  });

  test('forward policy decides about workloads, whose packets pass by the stack', async () => {
    await driver.apply(...hostEndpoint({}), ...podUpdates(pod));
    expect(await opens(neighbour, POD, 80)).toBe(true);
    expect(await opens(pod.netns, NEIGHBOUR, 80)).toBe(true);
    await driver.apply(
      ...hostEndpoint({ forward: { ingress: [toPort(81)], egress: [toPort(81)] } }),
    );
    expect(await open(neighbour, POD, 80)).toBe(false);
    expect(await open(pod.netns, NEIGHBOUR, 80)).toBe(false);
    expect(await opens(pod.netns, NEIGHBOUR, 81)).toBe(true);
    expect(await opens(world.host, POD, 80)).toBe(true);
  });

  test('preDNAT policy sees the address that the client asked for', async () => {
    iptables('-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080', '-j', 'DNAT', '--to', `${POD}:80`);
    // Translated packets are forwarded: normal policy, which denies everything, is not asked.
    await driver.apply(...hostEndpoint({}));
    expect(await opens(neighbour, HOST, 8080)).toBe(true);
    using talk = world.connect(neighbour, HOST, 8080, PATIENCE_MS);
    expect(await talk.next()).toBe('open');
    await driver.apply(
      ...hostEndpoint({ preDnat: { ingress: [{ ...toPort(8080), action: 'deny' }] } }),
    );
    expect(await open(neighbour, HOST, 8080)).toBe(false);
    expect(await opens(neighbour, HOST, 22)).toBe(true);
    expect(await talk.say('goes on')).toBe('goes on');
    // What it allows, the forward and normal stages of this interface are not asked about.
    const closed = { ingress: [], egress: [] };
    await driver.apply(
      ...hostEndpoint({
        preDnat: { ingress: [toPort(8080), toPort(81)] },
        ...{ forward: closed, normal: closed },
      }),
    );
    expect(await opens(neighbour, HOST, 8080)).toBe(true);
    expect(await opens(neighbour, HOST, 81)).toBe(true);
    expect(await open(neighbour, HOST, 80)).toBe(false);
    expect(await open(neighbour, POD, 80)).toBe(false);
    iptables('-F', 'PREROUTING');
  });

  test('a connection older than the host endpoint goes on', async () => {
    await driver.apply({ type: 'host-endpoint-remove', id: HEP });
    using talk = world.connect(neighbour, HOST, 80, PATIENCE_MS);
    expect(await talk.next()).toBe('open');
    await driver.apply(...hostEndpoint({}));
    expect(await talk.say('older')).toBe('older');
    expect(await open(neighbour, HOST, 80)).toBe(false);
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
    expect(await open(neighbour, HOST, 80)).toBe(false);
    await driver.apply(
      ...hostEndpoint({ untracked: { ingress: [toPort(80)], egress: [from(80)] }, normal: closed }),
    );
    expect(await opens(neighbour, HOST, 80)).toBe(true);
    expect(await open(neighbour, HOST, 81)).toBe(false);
    expect(await opens(neighbour, HOST, 22)).toBe(true);
    // A denial cuts what is established.
    const all = { ingress: [ANY], egress: [ANY] };
    await driver.apply(...hostEndpoint({ normal: all }));
    using talk = world.connect(neighbour, HOST, 80, 2000);
    using failsafe = world.connect(neighbour, HOST, 22, PATIENCE_MS);
    expect([await talk.next(), await failsafe.next()]).toEqual(['open', 'open']);
    await driver.apply(
      ...hostEndpoint({ untracked: { ingress: [{ action: 'deny' }] }, normal: all }),
    );
    expect(await talk.say('cut')).toBe('error silence');
    expect(await failsafe.say('kept')).toBe('kept');
    expect(await open(neighbour, POD, 80)).toBe(false);
    await driver.apply(...hostEndpoint({ normal: all }));
    expect(await opens(neighbour, HOST, 80)).toBe(true);
  });

  test('natOutgoing hides workloads from what is outside all pools', async () => {
    const pool = (natOutgoing: boolean): DesiredUpdate => ({
      ...{ type: 'pool', name: 'p' },
      pool: { cidr: '10.65.0.0/16', natOutgoing },
    });
    const closed = { ingress: [{ action: 'deny' as const }] };
    // The neighbour has no way back to the workload, only to the host; and nobody may open anything to either.
    inNeighbour('route', 'del', 'default');
    await driver.apply(
      ...hostEndpoint({ preDnat: closed, normal: { ...closed, egress: [] } }),
      ...[...podUpdates(pod), pool(false)],
    );
    expect(await open(pod.netns, NEIGHBOUR, 80)).toBe(false);
    await driver.apply(pool(true));
    expect(await opens(pod.netns, NEIGHBOUR, 80)).toBe(true);
    await driver.apply({
      type: 'pool',
      name: 'n',
      pool: { cidr: '192.0.2.0/24', natOutgoing: false },
    });
    expect(await open(pod.netns, NEIGHBOUR, 80)).toBe(false);
    await driver.apply({ type: 'pool-remove', name: 'n' }, { type: 'pool-remove', name: 'p' });
    expect(await open(pod.netns, NEIGHBOUR, 80)).toBe(false);
    inNeighbour('route', 'add', 'default', 'via', HOST);
  });

  test('a wildcard governs what no other does', async () => {
    const named = hostEndpoint({ normal: { ingress: [ANY], egress: [ANY] } });
    const wildcard = hostEndpoint({}, '*').map((update) => ({
      ...update,
      id: update.type === 'host-endpoint' ? 'any' : update.type,
    })) as DesiredUpdate[];
    await driver.apply(...named, ...wildcard);
    expect(await opens(neighbour, HOST, 80)).toBe(true);
    expect(await open(behind, '198.51.100.1', 80)).toBe(false);
    expect(await opens(world.host, '198.51.100.1', 80)).toBe(true);
    await driver.apply({ type: 'host-endpoint-remove', id: HEP });
    expect(await open(neighbour, HOST, 80)).toBe(false);
    await driver.apply({ type: 'host-endpoint-remove', id: 'any' as EndpointId });
    expect(await opens(neighbour, HOST, 80)).toBe(true);
  });
});
