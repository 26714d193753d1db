/**
 * Two workloads of one host, with Margay and with plain routing: a topology of its own for each, never reconfigured,
 * measured in turns in random order (docs/performance.md has the full method and figures).
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  type Lab,
  Lab as LabClass,
  type LabPlan,
  type WorkloadPlan,
  workloadManifest,
} from '../lab.js';
import { ip, netnsPath } from '../lab-run.js';
import { LOAD_TOOL } from '../load-tool.js';

const run = promisify(execFile);
const ROUNDS = 12;
const SECONDS = '0.15';

const workload = (name: string, last: number): WorkloadPlan => ({
  name,
  host: 'h1',
  namespace: 'default',
  address: `10.65.1.${last}`,
  labels: { app: name },
  profiles: ['open'],
});
const PLAN: LabPlan = { hosts: ['h1'], workloads: [workload('client', 1), workload('server', 2)] };

const OPEN_PROFILE = JSON.stringify({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Profile',
  metadata: { name: 'open' },
  spec: { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] },
});

/** What the kernel needs to do the same without Margay: routes, and an answer for the gateway's address. */
async function plainRouting(lab: Lab): Promise<void> {
  const { netns } = lab.host('h1');
  await lab.inHost('h1', ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  for (const entry of lab.workloads.values()) {
    ip(`route add ${entry.address}/32 dev ${entry.interfaceName}`, netns);
    ip(`neighbour add proxy 169.254.1.1 dev ${entry.interfaceName}`, netns);
    await lab.inHost('h1', ['sysctl', '-qw', `net.ipv4.conf.${entry.interfaceName}.proxy_arp=1`]);
  }
}

async function withMargay(lab: Lab): Promise<void> {
  await lab.startAgents();
  await lab.mustMargay(['apply', '-f', '-'], OPEN_PROFILE);
  for (const entry of lab.workloads.values()) {
    await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
  }
}

/** Client, server and softirq on one CPU: the rate is then the inverse of the cost. */
async function measure(lab: Lab, test: 'rr' | 'stream'): Promise<number> {
  const client = lab.workload('client');
  const port = test === 'stream' ? '9000' : '9001';
  const { stdout } = await run('taskset', [
    '-c',
    '0',
    'nsenter',
    `--net=${netnsPath(client.netns)}`,
    LOAD_TOOL,
    test,
    lab.workload('server').address,
    port,
    SECONDS,
  ]);
  const result = JSON.parse(stdout) as {
    readonly perSecond?: number;
    readonly gbitPerSecond?: number;
  };
  return result.perSecond ?? result.gbitPerSecond ?? 0;
}

function startServer(lab: Lab): void {
  const { netns } = lab.workload('server');
  const argv = [
    '-c',
    '0',
    'nsenter',
    `--net=${netnsPath(netns)}`,
    LOAD_TOOL,
    'serve',
    '--discard',
    '9000',
    '9001',
  ];
  execFile('taskset', argv).unref();
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
};

interface Pair {
  readonly plain: number;
  readonly margay: number;
}

async function measurePair(
  plain: Lab,
  margay: Lab,
  test: 'rr' | 'stream',
  plainFirst: boolean,
): Promise<Pair> {
  if (plainFirst) {
    const first = await measure(plain, test);
    return { plain: first, margay: await measure(margay, test) };
  }
  const first = await measure(margay, test);
  return { margay: first, plain: await measure(plain, test) };
}

function line(title: string, unit: string, pairs: readonly Pair[]): string {
  const plain = median(pairs.map((pair) => pair.plain));
  const margay = median(pairs.map((pair) => pair.margay));
  const ratio = median(pairs.map((pair) => pair.margay / pair.plain));
  const wins = pairs.filter((pair) => pair.margay > pair.plain).length;
  return `${title.padEnd(22)} plain ${plain.toFixed(1)} ${unit}, Margay ${margay.toFixed(1)} ${unit}, ratio ${ratio.toFixed(2)} (faster in ${wins} of ${pairs.length} rounds)`;
}

export async function compareThroughput(): Promise<readonly string[]> {
  await using plain = await LabClass.build(PLAN);
  await using margay = await LabClass.build(PLAN);
  await plainRouting(plain);
  await withMargay(margay);
  startServer(plain);
  startServer(margay);
  await measure(plain, 'rr').catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const pairs: Record<'rr' | 'stream', Pair[]> = { rr: [], stream: [] };
  for (let round = 0; round < ROUNDS; round++) {
    // Balanced: each side is first equally often.
    for (const test of ['rr', 'stream'] as const) {
      pairs[test].push(await measurePair(plain, margay, test, round % 2 === 0));
    }
  }
  return [line('TCP round trips', '/s', pairs.rr), line('TCP stream', 'Gbit/s', pairs.stream)];
}
