import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RuleUse } from '../../src/observe/agent-protocol.js';
import type { Flow } from '../../src/observe/flow-aggregator.js';
import type { FlowEvent } from '../../src/observe/flow-event.js';
import { formatHit } from '../../src/observe/policy-attribution.js';
import { REPOSITORY } from '../support/repository.js';
import { Lab, type LabPlan, type WorkloadPlan, workloadManifest } from './lab.js';
import { netnsPath } from './lab-run.js';

const MARGAY = join(REPOSITORY, 'bin', 'margay');
const workload = (name: string, host: string, address: string): WorkloadPlan => ({
  ...{ name, host, address, namespace: 'shop' },
  labels: { app: name },
  profiles: ['kns.shop'],
});
const PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: [
    workload('web', 'h1', '10.65.1.1'),
    workload('db', 'h1', '10.65.1.2'),
    workload('api', 'h2', '10.65.2.1'),
  ],
  environment: { FELIX_FLOWLOGSFLUSHINTERVAL: '1', FELIX_POLICYMETRICS: 'true' },
};
const OBJECTS = `
apiVersion: projectcalico.org/v3
kind: Profile
metadata: {name: kns.shop}
spec:
  ingress: [{action: Allow}]
  egress: [{action: Allow}]
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db-in, namespace: shop}
spec:
  selector: app == 'db'
  ingress:
  - action: Allow
    protocol: TCP
    source: {selector: app == 'web'}
    destination: {ports: [5432]}
`;

describe('margay flows', () => {
  let lab: Lab;
  let files: { readonly denied: string; readonly flows: string };
  let follower: ChildProcess;
  const followed: FlowEvent[] = [];

  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    files = { denied: join(lab.run.dir, 'denied.jsonl'), flows: join(lab.run.dir, 'flows.jsonl') };
    process.env['MARGAY_DENIEDFILE'] = files.denied;
    process.env['MARGAY_FLOWLOGSFILE'] = files.flows;
    await lab.startAgents();
    delete process.env['MARGAY_DENIEDFILE'];
    delete process.env['MARGAY_FLOWLOGSFILE'];
    for (const entry of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-'], workloadManifest(entry));
    }
    await lab.mustMargay(['apply', '-f', '-', '--wait'], OBJECTS);
    await follow();
  });
  afterAll(async () => {
    follower?.kill();
    await lab?.[Symbol.asyncDispose]();
  });

  /** `margay flows -f` on h1, and proof that it is listening. */
  async function follow(): Promise<void> {
    const { netns, runDir } = lab.host('h1');
    follower = spawn(
      'nsenter',
      [`--net=${netnsPath(netns)}`, process.execPath, MARGAY, 'flows', '-f', '-o', 'json'],
      { env: { ...process.env, MARGAY_RUN_DIR: runDir }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    if (follower.stdout === null) throw new Error('no output');
    createInterface({ input: follower.stdout }).on('line', (text) => {
      followed.push(JSON.parse(text) as FlowEvent);
    });
    while (followed.length === 0) await lab.reaches('web', 'db', 'udp', 80, 100);
  }

  async function until<T>(what: () => T | undefined | Promise<T | undefined>): Promise<T> {
    for (;;) {
      const found = await what();
      if (found !== undefined) return found;
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  const margay = (host: string, ...args: readonly string[]) =>
    lab.inHost(host, [process.execPath, MARGAY, ...args]);
  async function flows(host: string, ...args: readonly string[]): Promise<readonly FlowEvent[]> {
    const { stdout, stderr, status } = await margay(host, 'flows', '-o', 'json', ...args);
    expect([status, stderr]).toEqual([0, '']);
    return stdout
      .split('\n')
      .filter((text) => text !== '')
      .map((text) => JSON.parse(text) as FlowEvent);
  }
  /** The metrics port is on the host's own loopback: the question has to be asked from inside. */
  async function get(where: object): Promise<string> {
    const script = `require('http').get(${JSON.stringify(where)},(r)=>r.pipe(process.stdout))`;
    return (await lab.inHost('h1', [process.execPath, '-e', script])).stdout;
  }
  const seenBy = (port: number) => (event: FlowEvent) =>
    event.dst.port === port && event.dst.ip === '10.65.1.2' && event.proto === 'tcp';

  test('a follower sees an allowed connection at once, with the rules of both ends', async () => {
    expect(await lab.reaches('web', 'db', 'tcp', 5432)).toBe('open');
    const event = await until(() => followed.find(seenBy(5432)));
    expect(event).toMatchObject({
      ...{ type: 'verdict', verdict: 'Allow', reason: 'policy', node: 'h1', reporter: 'Dst' },
      src: {
        ip: '10.65.1.1',
        endpoint: { namespace: 'shop', name: 'web', labels: { app: 'web' } },
      },
      dst: { port: 5432, endpoint: { type: 'WorkloadEndpoint', namespace: 'shop', name: 'db' } },
    });
    expect(event.policies.enforced.map(formatHit)).toEqual(['0|default|np:shop/db-in|allow|0']);
    expect(event.policies.egress?.map(formatHit)).toEqual(['0|__PROFILE__|pro:kns.shop|allow|0']);
    // Told of again by no sweep.
    expect(followed.filter(seenBy(5432)).filter(({ type }) => type === 'verdict')).toHaveLength(1);
  });

  test('a denied one with the end of the tier that denied it', async () => {
    expect(await lab.reaches('web', 'db', 'tcp', 80, 300)).toBe('timeout');
    const event = await until(() => followed.find(seenBy(80)));
    expect(event).toMatchObject({ type: 'verdict', verdict: 'Deny', direction: 'ingress' });
    expect(event.policies.enforced.map(formatHit)).toEqual(['0|default|eot:__NO_MATCH__|deny|-1']);
    const lines = await margay(
      'h1',
      'flows',
      '--verdict',
      'Deny',
      '--to-port',
      '80',
      '--protocol',
      'tcp',
    );
    expect(lines.stdout).toMatch(
      /^\w{3} \d\d [\d:.]+: shop\/web:\d+ -> shop\/db:80 Deny TCP \(default\|eot:__NO_MATCH__ eot\)/,
    );
  });

  test('filters: alternatives, conjunction, negation', async () => {
    const to = async (...args: readonly string[]) =>
      new Set(
        (await flows('h1', '--all', ...args)).map(({ proto, verdict }) => `${proto} ${verdict}`),
      );
    expect(await to('--protocol', 'tcp', '--verdict', 'Deny')).toEqual(new Set(['tcp Deny']));
    expect(await to('--protocol', 'tcp', '--protocol', 'udp', '--to-port', '80')).toEqual(
      new Set(['tcp Deny', 'udp Deny']),
    );
    expect(await to('--not', '--verdict', 'Deny', '--pod', 'shop/web')).toEqual(
      new Set(['tcp Allow']),
    );
    expect(await to('--policy', 'np:shop/db-in')).toEqual(new Set(['tcp Allow']));
    expect(await to('--namespace', 'elsewhere')).toEqual(new Set());
    const failed = await margay('h1', 'flows', '--ip', 'nowhere');
    expect(failed).toMatchObject({
      status: 1,
      stderr: 'flows: nowhere is neither an address nor a network\n',
    });
    expect((await margay('h1', 'flows', '--verdict', 'Deny', '--fail-on', 'deny')).status).toBe(3);
  });

  test('without a follower, the sweep tells of connections; each host of its own end', async () => {
    expect(await lab.reaches('web', 'api', 'tcp', 80)).toBe('open');
    const there = await until(async () => (await flows('h2', '--to-port', '80')).at(-1));
    expect(there).toMatchObject({
      ...{ node: 'h2', verdict: 'Allow', direction: 'ingress', reporter: 'Dst' },
      src: { endpoint: { namespace: 'shop', name: 'web', node: 'h1' } },
    });
    expect(there.policies.egress).toBeNull();
    expect(there.packets?.out).toBeGreaterThan(0);
  });

  test('rules count what they decided, in why and in metrics', async () => {
    const answer = JSON.parse((await margay('h1', 'why', 'web', 'db:5432', '-o', 'json')).stdout);
    expect(answer.kernelAgrees).toBe(true);
    expect(answer.ingress.kernel.count.packets).toBeGreaterThan(0);
    const socketPath = join(lab.host('h1').runDir, 'agent.sock');
    const rules = JSON.parse(
      await get({ socketPath, path: '/api/v1/policies/stats' }),
    ) as readonly RuleUse[];
    const allowed = rules.find(({ hit }) => formatHit(hit) === '0|default|np:shop/db-in|allow|0');
    expect(allowed).toMatchObject({ direction: 'ingress' });
    const stdout = await get({ host: 'localhost', port: 9091, path: '/metrics' });
    expect(stdout).toMatch(
      /margay_policy_hits_total\{tier="default",kind="CalicoNetworkPolicy",namespace="shop",policy="db-in",action="Allow"\} [1-9]/,
    );
    expect(stdout).toMatch(/margay_flows_processed_total\{verdict="Deny",type="verdict"\} [1-9]/);
    expect(stdout).toContain('margay_flow_events_lost_total{where="ring"} 0');
  });

  test('bytes: a transfer is what the flow log says, at both ends and per rule', async () => {
    const size = 1_000_000;
    const script = (listen: boolean): string =>
      listen
        ? `require('net').createServer(s=>{s.resume();s.on('end',()=>process.exit())}).listen(7000)`
        : `const s=require('net').connect(7000,'10.65.2.1',()=>s.end(Buffer.alloc(${size})));s.on('close',()=>process.exit())`;
    const inside = (name: string, listen: boolean): ChildProcess =>
      spawn(
        'nsenter',
        [`--net=${netnsPath(lab.workload(name).netns)}`, process.execPath, '-e', script(listen)],
        {
          stdio: 'ignore',
        },
      );
    const server = inside('api', true);
    await until(async () => {
      const { stdout } = await lab.inHost('h2', [
        'nsenter',
        `--net=${netnsPath(lab.workload('api').netns)}`,
        'ss',
        '-Hltn',
        'sport = :7000',
      ]);
      return stdout === '' ? undefined : true;
    });
    const client = inside('web', false);
    await Promise.all(
      [server, client].map((child) => new Promise((done) => child.once('exit', done))),
    );
    const records = (node: string): readonly Flow[] =>
      (existsSync(files.flows) ? readFileSync(files.flows, 'utf8') : '')
        .split('\n')
        .slice(0, -1)
        .map((text) => JSON.parse(text) as Flow)
        .filter((flow) => flow.node === node && flow.dest_port === 7000);
    const sum = (node: string, field: 'bytes_in' | 'bytes_out'): number =>
      records(node).reduce((total, flow) => total + flow[field], 0);
    await until(() => (sum('h1', 'bytes_out') > size && sum('h2', 'bytes_in') > size) || undefined);
    expect(records('h1')[0]).toMatchObject({
      ...{
        source_name: 'web',
        dest_name: 'api',
        reporter: 'Src',
        action: 'Allow',
        protocol: 'tcp',
      },
      ...{ source_labels: expect.arrayContaining(['app=web']), incomplete: false },
    });
    // Headers of packets as the programs see them: super-packets have one each.
    for (const [node, field] of [
      ['h1', 'bytes_out'],
      ['h2', 'bytes_in'],
    ] as const) {
      expect(sum(node, field)).toBeLessThan(size * 1.1);
    }
    expect(Math.abs(sum('h1', 'bytes_out') - sum('h2', 'bytes_in'))).toBeLessThan(size * 0.1);
  });

  test('denied packets are in the file that was asked for', () => {
    const denied = readFileSync(files.denied, 'utf8').trim().split('\n');
    const events = denied.map((text) => JSON.parse(text) as FlowEvent);
    expect(new Set(events.map(({ verdict }) => verdict))).toEqual(new Set(['Deny']));
    expect(events.some(seenBy(80))).toBe(true);
  });
});
