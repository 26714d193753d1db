import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Lab, type LabPlan, workloadManifest } from './lab.js';
import { LabRun } from './lab-run.js';
import { startFlow } from './numbered-flow.js';

const PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: [
    {
      name: 'a',
      host: 'h1',
      namespace: 'default',
      address: '10.65.1.1',
      labels: { app: 'a' },
      profiles: ['open'],
    },
    {
      name: 'b',
      host: 'h1',
      namespace: 'default',
      address: '10.65.1.2',
      labels: { app: 'b' },
      profiles: ['open'],
    },
    {
      name: 'c',
      host: 'h2',
      namespace: 'default',
      address: '10.65.2.1',
      labels: { app: 'c' },
      profiles: ['open'],
    },
  ],
};

const SETTING = `
apiVersion: projectcalico.org/v3
kind: Profile
metadata: {name: open}
spec:
  ingress: [{action: Allow}]
  egress: [{action: Allow}]
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: no-tcp-5432, namespace: default}
spec:
  selector: has(app)
  ingress:
  - {action: Deny, protocol: TCP, destination: {ports: [5432]}}
  - {action: Allow}
`;

describe('an agent that ends', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], SETTING);
    for (const workload of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(workload));
    }
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  const verdicts = async (): Promise<string> => {
    const outcomes = await Promise.all([
      lab.reaches('a', 'b', 'tcp', 80),
      lab.reaches('a', 'c', 'tcp', 80),
      lab.reaches('a', 'b', 'tcp', 5432),
      lab.reaches('a', 'c', 'tcp', 5432),
      lab.reaches('c', 'a', 'icmp', 0),
    ]);
    return outcomes.join(' ');
  };
  const AS_WANTED = 'open open timeout timeout open';

  test('with SIGKILL leaves policy in force, and its successor loses no packet of running flows', async () => {
    expect(await verdicts()).toBe(AS_WANTED);
    const flows = await Promise.all([
      startFlow(lab, { from: 'a', to: 'b', seconds: 60 }),
      startFlow(lab, { from: 'a', to: 'c', seconds: 60 }),
    ]);
    for (const host of ['h1', 'h2']) await lab.stopAgent(host, 'SIGKILL');
    expect(await verdicts()).toBe(AS_WANTED);
    await lab.startAgents();
    expect(await verdicts()).toBe(AS_WANTED);
    for (const { child } of flows) child.kill('SIGTERM');
    const reports = await Promise.all(flows.map((flow) => flow.report));
    process.stdout.write(`flows through SIGKILL and restart: ${JSON.stringify(reports)}\n`);
    expect(reports.map((report) => report.lost)).toEqual([0, 0]);
    expect(Math.min(...reports.map((report) => report.sent))).toBeGreaterThan(1000);
  });

  test('with SIGTERM exits 0 and leaves policy in force', async () => {
    expect(await lab.stopAgent('h1', 'SIGTERM')).toBe(0);
    expect(await verdicts()).toBe(AS_WANTED);
    await lab.startAgent('h1');
    expect(await verdicts()).toBe(AS_WANTED);
  });

  test('and is replaced learns what changed meanwhile', async () => {
    await lab.stopAgent('h1', 'SIGKILL');
    await lab.mustMargay(['delete', 'networkpolicy', 'no-tcp-5432']);
    await lab.startAgent('h1');
    expect(await lab.reaches('a', 'b', 'tcp', 5432)).toBe('open');
    await lab.mustMargay(['apply', '-f', '-', '--wait'], SETTING);
    expect(await verdicts()).toBe(AS_WANTED);
  });

  test('a second agent in the same run directory is refused', async () => {
    const result = await lab.margay(['agent']);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('an agent is running already');
  });

  test('margay agent --cleanup removes everything Margay made', async () => {
    await lab.stopAgent('h1', 'SIGTERM');
    await lab.inHost('h1', ['ip', 'route', 'add', '10.99.0.0/24', 'dev', 'eth0']);
    const result = await lab.margay(['agent', '--cleanup']);
    expect(result.status).toBe(0);
    expect(existsSync(lab.host('h1').bpfDir)).toBe(false);
    const routes = await lab.inHost('h1', ['ip', 'route']);
    expect(routes.stdout).not.toContain('10.65.');
    expect(routes.stdout).toContain('10.99.0.0/24');
    await lab.startAgent('h1');
    expect(await verdicts()).toBe(AS_WANTED);
  });
});

describe('the lab itself', () => {
  test('is swept by the next run when its owner was killed', async () => {
    // A process that builds a lab and then hangs, killed without a chance to clean up.
    const script =
      "import('./dist/test/lab/lab.js').then(async ({ Lab }) => { const lab = await Lab.build({ hosts: ['h1'], workloads: [] }); console.log(lab.run.id); setInterval(() => {}, 1000); })";
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const { value: id } = await createInterface({ input: child.stdout })
      [Symbol.asyncIterator]()
      .next();
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(readdirSync('/run/netns').some((name) => name.startsWith(`${id}-`))).toBe(true);
    LabRun.sweep();
    expect(readdirSync('/run/netns').some((name) => name.startsWith(`${id}-`))).toBe(false);
    expect(existsSync(`/run/margay-lab/${id}`)).toBe(false);
  });
});
