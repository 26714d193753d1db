/** What the iptables dataplane does besides policy: routes of blocks, translation on the way out of a pool, log lines. */
import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { IptablesProcess } from './iptables.js';
import type { IptablesProcessOptions } from './iptables-process.js';
import { WorkloadWorld } from './workload-world.js';

const BACKENDS = ['legacy', 'nft'] as const;
const OPEN = [{ action: 'allow' as const, index: 0 }];

const updates = (...list: readonly object[]): readonly DesiredUpdate[] =>
  [...list, { type: 'in-sync' }] as unknown as readonly DesiredUpdate[];

const WORKLOAD = {
  type: 'workload-endpoint',
  id: 'default/a',
  endpoint: { interfaceName: 'calia', addresses: ['10.65.0.1'], tiers: [], profiles: ['open'] },
};
const PROFILE = { type: 'profile', id: 'open', profile: { ingress: OPEN, egress: OPEN } };

let world: WorkloadWorld;
let dataplane: IptablesProcess | undefined;

/** A host with an uplink, 10.0.0.1 of a /24, and a workload; behind the uplink is the world, 10.0.0.9 and 192.0.2.1. */
function open(backend: 'legacy' | 'nft', options: IptablesProcessOptions = {}): IptablesProcess {
  world = new WorkloadWorld(`n${backend[0]}`);
  world.addWorkload('a', '10.65.0.1');
  const outside = world.addNetns('out');
  world.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  world.ip('address', 'add', '10.0.0.1/24', 'dev', 'eth0');
  world.ip('address', 'add', '10.0.0.7/24', 'dev', 'eth0');
  world.ip('link', 'set', 'eth0', 'up');
  const inside = (...args: readonly string[]): string =>
    execFileSync('ip', ['-n', outside, ...args], { encoding: 'utf8' });
  inside('link', 'set', 'lo', 'up');
  inside('link', 'set', 'eth0', 'up');
  inside('address', 'add', '10.0.0.9/24', 'dev', 'eth0');
  inside('address', 'add', '192.0.2.1/32', 'dev', 'lo');
  world.ip('route', 'add', '192.0.2.0/24', 'via', '10.0.0.9');
  inside('route', 'add', '10.65.0.0/16', 'via', '10.0.0.1');
  dataplane = new IptablesProcess(world.path, backend, options);
  return dataplane;
}

afterEach(async () => {
  await dataplane?.kill();
  world[Symbol.dispose]();
});

const apply = async (...list: readonly DesiredUpdate[]): Promise<void> => {
  expect(await dataplane?.ask({ do: 'apply', updates: list })).toBe('applied');
};

/** Ours in the main table, 'DESTINATION via GATEWAY' or 'blackhole DESTINATION'. */
const routes = (): readonly string[] =>
  world
    .ipJson<{ dst: string; gateway?: string; dev?: string; type?: string }>(
      ...['-4', 'route', 'show', 'proto', '80'],
    )
    .map(({ dst, gateway, dev, type }) =>
      type === 'blackhole' ? `blackhole ${dst}` : `${dst} ${gateway ?? dev}`,
    )
    .sort();

test('ranges on other hosts and blocks of this one have their routes, and lose them', async () => {
  open('nft');
  const remote = (cidr: string, nextHop: string, type = 'block-route') => ({
    ...{ type, cidr, route: { node: 'n', nextHop } },
  });
  await apply(
    ...updates(
      PROFILE,
      WORKLOAD,
      { type: 'local-block', cidr: '10.65.0.0/26' },
      remote('10.65.1.0/26', '10.0.0.2'),
      // Borrowed by another host out of this host's block.
      remote('10.65.0.9/32', '10.0.0.3'),
      // Said of a workload as well: that one wins.
      remote('10.65.2.1/32', '10.0.0.2'),
      remote('10.65.2.1/32', '10.0.0.4', 'route'),
      // Not on a link of this host.
      remote('10.65.3.0/26', '172.16.0.1'),
    ),
  );
  const all = [
    '10.65.0.1 calia',
    '10.65.0.9 10.0.0.3',
    '10.65.1.0/26 10.0.0.2',
    '10.65.2.1 10.0.0.4',
    'blackhole 10.65.0.0/26',
  ];
  expect(routes()).toEqual(all);
  world.ip('route', 'del', 'blackhole', '10.65.0.0/26');
  expect(await dataplane?.ask({ do: 'resync' })).toBe('applied');
  expect(routes()).toEqual(all);
  await apply(
    ...updates(
      { type: 'route-remove', cidr: '10.65.2.1/32' },
      { type: 'block-route-remove', cidr: '10.65.1.0/26' },
      { type: 'local-block-remove', cidr: '10.65.0.0/26' },
    ),
  );
  expect(routes()).toEqual(['10.65.0.1 calia', '10.65.0.9 10.0.0.3', '10.65.2.1 10.0.0.2']);
});

test('what is to travel in IP-in-IP does not travel without; a kernel that cannot says so and enforces', async () => {
  open('nft');
  const route = { node: 'n', nextHop: '10.0.0.2', encapsulation: 'ipip' };
  const local = { ipip: true, vxlan4: false, vxlan6: false, ipipAddress: '10.65.0.0' };
  await apply(
    ...updates(
      PROFILE,
      WORKLOAD,
      { type: 'local-host', host: { address4: '10.0.0.1/24', ...local } },
      { type: 'block-route', cidr: '10.65.1.0/26', route },
    ),
  );
  const devices = world.ipJson<{ ifname: string }>('link', 'show').map(({ ifname }) => ifname);
  const remote = world
    .ipJson<{ dst: string; dev: string }>('-4', 'route', 'show', 'proto', '80')
    .filter(({ dst }) => dst === '10.65.1.0/26')
    .map(({ dev }) => dev);
  const problems = await dataplane?.ask({ do: 'problems' });
  if (devices.includes('tunl0')) {
    expect([remote, problems]).toEqual([['tunl0'], []]);
  } else {
    expect([remote, problems]).toEqual([[], [expect.stringContaining('no device for it')]]);
  }
});

test('with a routing daemon, routes between hosts are its own', async () => {
  open('nft', { leavePlainRoutes: true });
  await apply(
    ...updates(
      PROFILE,
      WORKLOAD,
      { type: 'local-block', cidr: '10.65.0.0/26' },
      { type: 'block-route', cidr: '10.65.1.0/26', route: { node: 'n', nextHop: '10.0.0.2' } },
    ),
  );
  expect(routes()).toEqual(['10.65.0.1 calia', 'blackhole 10.65.0.0/26']);
});

const POOL = { type: 'pool', name: 'p', pool: { cidr: '10.65.0.0/16', natOutgoing: true } };
const FAR_HOST = { type: 'host', name: 'far', host: { addresses: ['10.0.0.9'] } };

/** Who the other side thinks is talking, 'ADDRESS:PORT'. */
async function seenAs(address: string): Promise<string> {
  const { id } = world;
  await world.serve(`${id}-out`, 8000);
  using conversation = world.connect(`${id}-a`, address, 8000, 3000);
  expect(await conversation.next()).toBe('open');
  const sockets = execFileSync(
    'nsenter',
    [`--net=/run/netns/${id}-out`, 'ss', '-Htn', 'sport', '=', ':8000'],
    { encoding: 'utf8' },
  );
  return /\s\S+:8000\s+(\S+)/.exec(sockets)?.[1]?.replace('[::ffff:', '').replace(']', '') ?? '';
}

describe.each(BACKENDS)('out of a pool, %s', (backend) => {
  test('the address of the interface, with ports of the range', async () => {
    open(backend, { natOutgoing: { ports: { first: 4000, last: 4009 } } });
    await apply(...updates(PROFILE, WORKLOAD, POOL));
    expect(await seenAs('192.0.2.1')).toMatch(/^10\.0\.0\.1:400\d$/);
  });

  test('a given address, with ports of the range', async () => {
    open(backend, { natOutgoing: { address: '10.0.0.7', ports: { first: 4000, last: 4009 } } });
    await apply(...updates(PROFILE, WORKLOAD, POOL));
    expect(await seenAs('192.0.2.1')).toMatch(/^10\.0\.0\.7:400\d$/);
  });

  test('its own address by an interface that is not meant, and to other hosts', async () => {
    open(backend, { natOutgoing: { interfaceName: 'wan+', exceptHosts: true } });
    await apply(...updates(PROFILE, WORKLOAD, POOL, FAR_HOST));
    expect(await seenAs('192.0.2.1')).toMatch(/^10\.65\.0\.1:/);
  });

  test('its own address to a host of the cluster where hosts are exempt', async () => {
    open(backend, { natOutgoing: { exceptHosts: true } });
    await apply(...updates(PROFILE, WORKLOAD, POOL, FAR_HOST));
    expect(await seenAs('10.0.0.9')).toMatch(/^10\.65\.0\.1:/);
  });

  test('rules of every rate read back as they were written', async () => {
    open(backend, { logRate: { lines: 9999, unit: 'second', burst: 7 } });
    const log = [{ action: 'log' as const, index: 0 }, ...OPEN];
    await apply(
      ...updates(POOL, WORKLOAD, {
        type: 'profile',
        id: 'open',
        profile: { ingress: log, egress: [{ ...log[0], protocol: 89 }, ...log] },
      }),
    );
    expect(await dataplane?.ask({ do: 'writes' })).toBeGreaterThan(0);
    expect(await dataplane?.ask({ do: 'resync' })).toBe('applied');
    expect(await dataplane?.ask({ do: 'writes' })).toBe(0);
  });

  test('a rule that is refused is named', async () => {
    open(backend, { natOutgoing: { address: 'nonsense' } });
    const answer = await dataplane?.ask({ do: 'apply', updates: updates(PROFILE, WORKLOAD, POOL) });
    expect(JSON.stringify(answer)).toMatch(
      /line \d+ is \\"-A mgy-POSTROUTING .* -j SNAT --to-source nonsense/,
    );
  });

  test('a floating address leads to the workload, from outside, the host, and itself', async () => {
    open(backend);
    const floatingIps = [{ external: '198.51.100.7', internal: '10.65.0.1' }];
    const endpoint = { ...WORKLOAD.endpoint, floatingIps };
    await apply(...updates(PROFILE, { ...WORKLOAD, endpoint }));
    const { id } = world;
    execFileSync('ip', ['-n', `${id}-out`, 'route', 'add', '198.51.100.7', 'via', '10.0.0.1']);
    await world.serve(`${id}-a`, 8000);
    const reached: boolean[] = [];
    for (const netns of [`${id}-out`, `${id}-h`, `${id}-a`]) {
      reached.push(await world.reaches(netns, '198.51.100.7', 8000, 3000));
    }
    expect(reached).toEqual([true, true, true]);
    expect(routes()).toContain('198.51.100.7 calia');
    await apply(...updates(WORKLOAD));
    expect(await world.reaches(`${id}-out`, '198.51.100.7', 8000, 300)).toBe(false);
    expect(routes()).toEqual(['10.65.0.1 calia']);
  });
});
