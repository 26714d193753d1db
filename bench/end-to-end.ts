/**
 * Two workloads of one host, or of two, with Margay and with plain routing, by the method of docs/performance.md: a topology of
 * its own for each configuration, never reconfigured; all configurations in every round, in an order that is random
 * and balanced by position; client, server and softirq on one CPU, so that a rate is the inverse of a cost.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Lab, type LabPlan, type WorkloadPlan, workloadManifest } from '../test/lab/lab.js';
import { ip, netnsPath } from '../test/lab/lab-run.js';
import { LOAD_TOOL } from '../test/lab/load-tool.js';
import { bootstrapMedian, type Interval, median, randomSequence, shuffled } from './statistics.js';

const run = promisify(execFile);

export type LoadTest = 'rr' | 'crr' | 'stream';

const ECHO_PORT = '9001';
const DISCARD_PORT = '9000';

const workload = (name: string, last: number, host = 'h1'): WorkloadPlan => ({
  name,
  host,
  namespace: 'default',
  address: `10.65.${host.slice(1)}.${last}`,
  labels: { app: name },
  profiles: ['open'],
});
export const ONE_HOST: LabPlan = {
  hosts: ['h1'],
  workloads: [workload('client', 1), workload('server', 2)],
};

/** The underlay carries 1500 bytes, so that workloads get 20 less where an outer header is added. */
const twoHosts = (workloadMtu: number): LabPlan => ({
  hosts: ['h1', 'h2'],
  workloads: [workload('client', 1, 'h1'), workload('server', 2, 'h2')],
  workloadMtu,
  environment: { NO_DEFAULT_POOLS: 'true' },
});

export const OPEN_PROFILE = {
  apiVersion: 'projectcalico.org/v3',
  kind: 'Profile',
  metadata: { name: 'open' },
  spec: { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] },
};

/** Rules that do not match, in front of one that does: what a linear dataplane would have to walk. */
export function rulesManifest(rules: number): string {
  const misses = Array.from({ length: rules - 1 }, (_, i) => ({
    action: 'Allow',
    protocol: 'TCP',
    source: { selector: `app == 'other-${i}'` },
    destination: { ports: [10_000 + (i % 50_000)] },
  }));
  const perPolicy = 1000;
  const policies = Array.from({ length: Math.ceil(rules / perPolicy) }, (_, i) => ({
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name: `rules-${i}`, namespace: 'default' },
    spec: {
      order: i,
      selector: 'has(app)',
      ingress: [
        ...misses.slice(i * perPolicy, (i + 1) * perPolicy),
        ...((i + 1) * perPolicy >= rules ? [{ action: 'Allow' }] : []),
      ],
    },
  }));
  return JSON.stringify(policies);
}

export interface Configuration {
  readonly name: string;
  /** Default: client and server on one host. */
  readonly plan?: LabPlan;
  readonly build: (lab: Lab) => Promise<void>;
}

/** What the kernel needs to do the same without Margay: routes, and an answer for the gateway's address. */
export const PLAIN_ROUTING: Configuration = {
  name: 'plain',
  build: async (lab) => {
    const { netns } = lab.host('h1');
    await lab.inHost('h1', ['tee', '/proc/sys/net/ipv4/ip_forward'], '1');
    // The kernel answers ARP for another only where it has a route to it by a different interface.
    ip('route add 169.254.1.1/32 dev eth0', netns);
    for (const entry of lab.workloads.values()) {
      ip(`route add ${entry.address}/32 dev ${entry.interfaceName}`, netns);
      await lab.inHost(
        'h1',
        ['tee', `/proc/sys/net/ipv4/conf/${entry.interfaceName}/proxy_arp`],
        '1',
      );
    }
  },
};

export function withMargay(rules: number): Configuration {
  return {
    name: `margay-${rules}`,
    build: async (lab) => {
      await lab.startAgents();
      await lab.mustMargay(['apply', '-f', '-'], JSON.stringify(OPEN_PROFILE));
      if (rules > 0) await lab.mustMargay(['apply', '-f', '-'], rulesManifest(rules));
      for (const entry of lab.workloads.values()) {
        await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
      }
    },
  };
}

/** Two hosts that know each other's workloads, and nothing else: no policy, no encapsulation. */
export const PLAIN_HOSTS: Configuration = {
  name: 'plain',
  plan: twoHosts(1500),
  build: async (lab) => {
    for (const { name, netns } of lab.hosts.values()) {
      await lab.inHost(name, ['tee', '/proc/sys/net/ipv4/ip_forward'], '1');
      ip('route add 169.254.1.1/32 dev eth0', netns);
      for (const entry of lab.workloads.values()) {
        if (entry.host !== name) {
          ip(`route add ${entry.address}/32 via ${lab.host(entry.host).address}`, netns);
          continue;
        }
        ip(`route add ${entry.address}/32 dev ${entry.interfaceName}`, netns);
        const setting = `/proc/sys/net/ipv4/conf/${entry.interfaceName}/proxy_arp`;
        await lab.inHost(name, ['tee', setting], '1');
      }
    }
  },
};

/** The same two hosts with policy of so many rules at both ends, on the wire as they are or in IP-in-IP. */
export function overlay(ipipMode: 'Always' | 'Never', rules: number): Configuration {
  const name = ipipMode === 'Always' ? `ipip-${rules}` : `routed-${rules}`;
  return {
    name,
    plan: twoHosts(ipipMode === 'Always' ? 1480 : 1500),
    build: async (lab) => {
      const pool = {
        apiVersion: 'projectcalico.org/v3',
        kind: 'IPPool',
        metadata: { name: 'workloads' },
        spec: { cidr: '10.65.0.0/16', ipipMode },
      };
      await lab.startAgents();
      await lab.mustMargay(['apply', '-f', '-'], JSON.stringify(pool));
      await lab.mustMargay(['apply', '-f', '-'], JSON.stringify(OPEN_PROFILE));
      await lab.mustMargay(['apply', '-f', '-'], rulesManifest(rules));
      for (const entry of lab.workloads.values()) {
        await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
      }
    },
  };
}

class Topology implements AsyncDisposable {
  readonly #lab: Lab;

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  static async open(configuration: Configuration): Promise<Topology> {
    const lab = await Lab.build(configuration.plan ?? ONE_HOST);
    try {
      await configuration.build(lab);
      const { netns } = lab.workload('server');
      const server = ['serve', ECHO_PORT, '--discard', DISCARD_PORT];
      execFile('taskset', [
        '-c',
        '0',
        'nsenter',
        `--net=${netnsPath(netns)}`,
        LOAD_TOOL,
        ...server,
      ]).unref();
      await lab.reaches('client', 'server', 'icmp', 0);
      return new Topology(lab);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Transactions per second, or Gbit/s. */
  async measure(test: LoadTest, seconds: number): Promise<number> {
    const { netns } = this.#lab.workload('client');
    const { stdout } = await run('taskset', [
      '-c',
      '0',
      'nsenter',
      `--net=${netnsPath(netns)}`,
      LOAD_TOOL,
      test,
      this.#lab.workload('server').address,
      test === 'stream' ? DISCARD_PORT : ECHO_PORT,
      String(seconds),
    ]);
    const result = JSON.parse(stdout) as {
      readonly perSecond?: number;
      readonly gbitPerSecond?: number;
    };
    return result.perSecond ?? result.gbitPerSecond ?? Number.NaN;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lab[Symbol.asyncDispose]();
  }
}

export interface Comparison {
  readonly test: LoadTest;
  readonly configuration: string;
  /** Median absolute rate: transactions/s or Gbit/s. Not comparable between runs. */
  readonly rate: number;
  /** Of this configuration to the first, within the same round. */
  readonly ratio: Interval;
  /** What a transaction takes longer than with the first, within the same round. Of streams without meaning. */
  readonly addedMicroseconds: Interval;
  /** Rounds in which it was faster than the first. */
  readonly wins: number;
  readonly rounds: number;
}

export interface EndToEndOptions {
  /** The first is what the others are compared with. */
  readonly configurations: readonly Configuration[];
  readonly tests: readonly LoadTest[];
  readonly rounds: number;
  readonly seconds: number;
  readonly onProgress?: (round: number) => void;
}

/** A base order, rotated by the round: each configuration stands at each position equally often. */
function orderOf(round: number, base: readonly number[]): readonly number[] {
  return base.map((_, i) => base[(i + round) % base.length] ?? 0);
}

export async function compareEndToEnd(options: EndToEndOptions): Promise<readonly Comparison[]> {
  await using topologies = new Topologies();
  for (const configuration of options.configurations) await topologies.add(configuration);
  const count = options.configurations.length;
  const random = randomSequence(Date.now());
  const rates = new Map(
    options.tests.map((test) => [test, options.configurations.map((): number[] => [])]),
  );
  let base = Array.from({ length: count }, (_, i) => i) as readonly number[];
  for (const test of options.tests) {
    for (const topology of topologies.all) await topology.measure(test, options.seconds); // warm up
  }
  for (let round = 0; round < options.rounds; round++) {
    options.onProgress?.(round);
    if (round % count === 0) base = shuffled(base, random);
    for (const test of options.tests) {
      for (const index of orderOf(round, base)) {
        const rate = await topologies.all[index]?.measure(test, options.seconds);
        rates.get(test)?.[index]?.push(rate ?? Number.NaN);
      }
    }
  }
  return options.tests.flatMap((test) =>
    summarise(test, options.configurations, rates.get(test) ?? []),
  );
}

class Topologies implements AsyncDisposable {
  readonly all: Topology[] = [];

  async add(configuration: Configuration): Promise<void> {
    this.all.push(await Topology.open(configuration));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const topology of this.all) await topology[Symbol.asyncDispose]();
  }
}

function summarise(
  test: LoadTest,
  configurations: readonly Configuration[],
  rates: readonly (readonly number[])[],
): readonly Comparison[] {
  const reference = rates[0] ?? [];
  return configurations.map((configuration, index) => {
    const own = rates[index] ?? [];
    const ratios = own.map((rate, round) => rate / (reference[round] ?? Number.NaN));
    return {
      test,
      configuration: configuration.name,
      rate: median(own),
      ratio: bootstrapMedian(ratios),
      addedMicroseconds: bootstrapMedian(
        own.map((rate, round) => 1e6 / rate - 1e6 / (reference[round] ?? Number.NaN)),
      ),
      wins: ratios.filter((ratio) => ratio > 1).length,
      rounds: own.length,
    };
  });
}
