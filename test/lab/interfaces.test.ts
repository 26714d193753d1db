import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Lab, type LabPlan, type WorkloadPlan, workloadManifest } from './lab.js';
import { ip } from './lab-run.js';
import { LOAD_TOOL } from './load-tool.js';

const workload = (name: string, address: string): WorkloadPlan => ({
  name,
  host: 'h1',
  namespace: 'default',
  address,
  labels: { app: name },
  profiles: ['open'],
});
const PLAN: LabPlan = {
  hosts: ['h1'],
  workloads: [workload('a', '10.65.1.1'), workload('b', '10.65.1.2')],
};

const PROFILE = JSON.stringify({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Profile',
  metadata: { name: 'open' },
  spec: { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] },
});

describe('workload interfaces', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], PROFILE);
    for (const entry of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
    }
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  /** The agent acts on the interface by itself: no command to wait for. */
  async function eventually(from: string, to: string): Promise<string> {
    let outcome = 'timeout';
    for (let attempt = 0; attempt < 30 && outcome !== 'open'; attempt++) {
      outcome = await lab.reaches(from, to, 'tcp', 80, 300);
    }
    return outcome;
  }

  test('an interface without endpoint is closed, both ways', async () => {
    lab.addWorkload(workload('stray', '10.65.1.9'));
    expect(await lab.reaches('a', 'stray', 'tcp', 80, 300)).not.toBe('open');
    expect(await lab.reaches('stray', 'a', 'tcp', 80, 300)).not.toBe('open');
    const own = await lab.inHost('h1', [LOAD_TOOL, 'probe'], '1 icmp 10.65.1.9 0 300\n');
    expect(own.stdout).toMatch(/^1 (timeout|unreachable) /);
  });

  test('opens once its endpoint exists', async () => {
    await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(lab.workload('stray')));
    expect(await lab.reaches('a', 'stray', 'tcp', 80)).toBe('open');
    expect(await lab.reaches('stray', 'a', 'tcp', 80)).toBe('open');
  });

  test('the endpoint may come before its interface', async () => {
    const late = workload('late', '10.65.1.10');
    const planned = {
      ...late,
      netns: '',
      interfaceName: 'calilate',
      prober: lab.workload('a').prober,
    };
    await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(planned));
    lab.addWorkload(late);
    expect(await eventually('a', 'late')).toBe('open');
    expect(await eventually('late', 'a')).toBe('open');
  });

  test('an interface that is made again with the same name is programmed again', async () => {
    const { netns, interfaceName, address } = lab.workload('b');
    const host = lab.host('h1').netns;
    ip(`link del ${interfaceName}`, host);
    ip(`link add ${interfaceName} type veth peer name eth0 netns ${netns}`, host);
    ip(`link set ${interfaceName} up`, host);
    ip('link set eth0 up', netns);
    ip(`address replace ${address}/32 dev eth0`, netns);
    ip('route replace 169.254.1.1 dev eth0 scope link', netns);
    ip('route replace default via 169.254.1.1 dev eth0', netns);
    expect(await eventually('a', 'b')).toBe('open');
    expect(await eventually('b', 'a')).toBe('open');
  });

  test('is closed again when its endpoint is deleted, and its route goes', async () => {
    await lab.mustMargay(['delete', 'workloadendpoint', 'h1-lab-stray-eth0', '--wait']);
    expect(await lab.reaches('a', 'stray', 'tcp', 80, 300)).not.toBe('open');
    expect(await lab.reaches('stray', 'a', 'tcp', 80, 300)).not.toBe('open');
    const routes = await lab.inHost('h1', ['ip', 'route']);
    expect(routes.stdout).not.toContain('10.65.1.9');
  });

  test('the host reaches its workloads; they reach it only in reply', async () => {
    const out = await lab.inHost(
      'h1',
      [LOAD_TOOL, 'probe'],
      `1 tcp ${lab.workload('a').address} 80 800\n`,
    );
    expect(out.stdout).toMatch(/^1 open /);
    const back = await lab
      .workload('a')
      .prober.probe({ protocol: 'icmp', address: lab.host('h1').address, port: 0, timeoutMs: 300 });
    expect(back.outcome).toBe('timeout');
  });

  test('a forged source address does not get out', async () => {
    const { netns } = lab.workload('a');
    ip('address add 10.65.1.77/32 dev eth0', netns);
    ip('route replace default via 169.254.1.1 dev eth0 src 10.65.1.77', netns);
    expect(await lab.reaches('a', 'b', 'tcp', 80, 300)).toBe('timeout');
    ip('route replace default via 169.254.1.1 dev eth0', netns);
    ip('address del 10.65.1.77/32 dev eth0', netns);
    expect(await lab.reaches('a', 'b', 'tcp', 80)).toBe('open');
  });
});
