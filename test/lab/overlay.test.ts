/** IP-in-IP between hosts of two subnets with a router between, which knows no workload. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Capture } from './capture.js';
import { Lab, type LabPlan, type WorkloadPlan, workloadManifest } from './lab.js';
import { ip } from './lab-run.js';
import { LOAD_TOOL } from './load-tool.js';

const workload = (name: string, host: string, address: string): WorkloadPlan => ({
  ...{ name, host, address, namespace: 'default' },
  labels: { app: name },
  profiles: ['open'],
});

const PLAN: LabPlan = {
  hosts: ['h1', 'h2', 'h3'],
  subnets: { h3: 1 },
  workloads: [
    workload('a', 'h1', '10.65.1.1'),
    workload('b', 'h2', '10.65.2.1'),
    workload('c', 'h3', '10.65.3.1'),
  ],
  environment: { NO_DEFAULT_POOLS: 'true' },
};
const PAIRS = [
  ['a', 'b'],
  ['b', 'a'],
  ['a', 'c'],
  ['c', 'a'],
  ['b', 'c'],
  ['c', 'b'],
] as const;
const object = (kind: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'projectcalico.org/v3', kind, metadata: { name }, spec });
const ALLOW = [{ action: 'Allow' }];

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.build(PLAN);
  await lab.startAgents();
  await lab.mustMargay(
    ['apply', '-f', '-'],
    object('Profile', 'open', { ingress: ALLOW, egress: ALLOW }),
  );
  for (const entry of lab.workloads.values())
    await lab.mustMargay(['apply', '-f', '-'], workloadManifest(entry));
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

const setMode = (ipipMode: string): Promise<string> =>
  lab.mustMargay(
    ['apply', '-f', '-', '--wait'],
    object('IPPool', 'workloads', { cidr: '10.65.0.0/16', ipipMode, blockSize: 26 }),
  );

/** Pairs of workloads between which TCP, UDP and ICMP all pass. */
async function reached(): Promise<string[]> {
  const found: string[] = [];
  for (const [from, to] of PAIRS) {
    const outcomes = [
      await lab.reaches(from, to, 'tcp', 80, 400),
      await lab.reaches(from, to, 'udp', 80, 400),
      await lab.reaches(from, to, 'icmp', 0, 400),
    ];
    if (outcomes.every((outcome) => outcome === 'open')) found.push(`${from}${to}`);
    else expect(outcomes).not.toContain('open');
  }
  return found;
}

/** Which pairs' packets travel as they are, and which encapsulated, as seen on each host's link. */
async function seenOnTheWire(run: () => Promise<unknown>): Promise<unknown> {
  const captures = await Promise.all(
    PLAN.hosts.map((host) => Capture.start(lab.run.netns('net'), host, 'ip')),
  );
  await run();
  const lines = (await Promise.all(captures.map((capture) => capture.stop()))).flat();
  const pairs = (inside: RegExp): readonly string[] => {
    const found = lines.flatMap((line) => {
      const [, from, to] = inside.exec(line) ?? [];
      return from === undefined || to === undefined ? [] : [`${from}>${to}`];
    });
    return [...new Set(found)].sort();
  };
  return {
    plain: pairs(/^IP 10\.65\.(\d)\.1\S* > 10\.65\.(\d)\.1/),
    tunnelled: pairs(
      /^IP 172\.31\.\d\.\d > 172\.31\.\d\.\d: IP 10\.65\.(\d)\.1\S* > 10\.65\.(\d)\.1/,
    ),
  };
}

/** This host's own end of the tunnel, which its agent has got from address management. */
async function tunnelEnd(host: string): Promise<string> {
  const { spec } = JSON.parse(await lab.mustMargay(['get', 'node', host, '-o', 'json'])) as {
    readonly spec: { readonly bgp: { readonly ipv4IPIPTunnelAddr: string } };
  };
  return spec.bgp.ipv4IPIPTunnelAddr;
}

const NEAR = ['1>2', '2>1'];
const FAR = ['1>3', '2>3', '3>1', '3>2'];
const EVERY = [...NEAR, ...FAR].sort();
const ALL = PAIRS.map((pair) => pair.join(''));

describe('the pool decides how packets travel', () => {
  test.each([
    // The router has no route for them.
    ['Never', ['ab', 'ba'], { plain: EVERY, tunnelled: [] }],
    ['CrossSubnet', ALL, { plain: NEAR, tunnelled: FAR }],
    ['Always', ALL, { plain: [], tunnelled: EVERY }],
  ])('%s', async (mode, expected, wire) => {
    await setMode(mode);
    let found: readonly string[] = [];
    const seen = await seenOnTheWire(async () => {
      found = await reached();
    });
    expect(found).toEqual(expected);
    expect(seen).toEqual(wire);
  });

  test('packets of full size pass, and too large ones are answered', async () => {
    const { netns } = lab.workload('a');
    const ping = (size: number): Promise<{ readonly stdout: string }> =>
      lab.inHost('h1', [
        ...['nsenter', `--net=/run/netns/${netns}`],
        ...['ping', '-M', 'do', '-c', '1', '-W', '1', '-s', `${size}`, '10.65.3.1'],
      ]);
    expect((await ping(1452)).stdout).toContain(' 0% packet loss');
    expect((await ping(1453)).stdout).toMatch(/mtu = 1480|mtu=1480/);
  });
});

describe("the hosts' own processes", () => {
  test('reach workloads elsewhere through the tunnel, from its end', async () => {
    for (const host of PLAN.hosts) {
      for (const { address } of lab.workloads.values()) {
        const argv = [LOAD_TOOL, 'probe'];
        const { stdout } = await lab.inHost(host, argv, `1 tcp ${address} 80 800\n`);
        expect([host, address, stdout.split(' ')[1]]).toEqual([host, address, 'open']);
      }
    }
    const route = await lab.inHost('h1', ['ip', 'route', 'get', '10.65.3.1']);
    const end = await tunnelEnd('h1');
    expect(route.stdout).toContain(`via 172.31.1.3 dev mgytunl0 src ${end}`);
  });

  test('are reached at their ends by other hosts', async () => {
    const probe = `1 icmp ${await tunnelEnd('h3')} 0 800\n`;
    const { stdout } = await lab.inHost('h1', [LOAD_TOOL, 'probe'], probe);
    expect(stdout).toMatch(/^1 open/);
  });
});

describe('agents and pools that go', () => {
  test('without agents everything goes on', async () => {
    for (const host of PLAN.hosts) await lab.stopAgent(host, 'SIGKILL');
    expect(await reached()).toEqual(ALL);
    await lab.startAgents();
    expect(await reached()).toEqual(ALL);
  });

  test('the last pool takes the tunnel with it', async () => {
    await lab.mustMargay(['delete', 'ippool', 'workloads', '--wait']);
    for (const { netns } of lab.hosts.values()) {
      expect(ip('link show', netns)).not.toContain('mgytunl');
      expect(ip('route', netns)).not.toContain('mgytunl');
    }
  });
});
