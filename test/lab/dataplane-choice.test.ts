/** Which dataplane a host gets when it may choose, and where it says why. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WhyAnswer } from '../../src/apps/ctl/why/answer.js';
import { REPOSITORY } from '../support/repository.js';
import { Lab, type LabPlan, workloadManifest } from './lab.js';

const PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: ['one', 'two'].map((name, at) => ({
    ...{ name, host: 'h2', namespace: 'default', labels: {}, profiles: [] },
    address: `10.65.2.${at + 1}`,
  })),
  environment: { MARGAY_DATAPLANE: 'auto' },
};

interface Status {
  readonly hosts: readonly { host: string; dataplane: string; dataplaneReason: string }[];
}

describe('a host that may choose', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    // Nothing can be pinned where a file is in the way: as good a kernel as one without what the programs need.
    const blocked = join(lab.run.dir, 'no-directory');
    writeFileSync(blocked, '');
    lab.hosts.set('h2', { ...lab.host('h2'), bpfDir: blocked });
    await lab.startAgents();
    for (const entry of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
    }
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  test('takes eBPF, and says so', async () => {
    const { hosts } = JSON.parse(await lab.mustMargay(['status', '-o', 'json'])) as Status;
    expect(hosts.find(({ host }) => host === 'h1')).toMatchObject({
      dataplane: 'ebpf',
      dataplaneReason: 'the kernel has all it needs',
    });
  });

  test('takes iptables where eBPF cannot start, enforces, and says why in text, JSON and metrics', async () => {
    const { hosts } = JSON.parse(await lab.mustMargay(['status', '-o', 'json'])) as Status;
    const host = hosts.find(({ host: name }) => name === 'h2');
    expect(host?.dataplane).toBe('iptables');
    expect(host?.dataplaneReason).toMatch(
      /^the eBPF dataplane cannot start here: .*no-directory.*; (nft|legacy) tables: /,
    );
    expect(await lab.mustMargay(['status'])).toContain(
      `h2: dataplane iptables, as ${host?.dataplaneReason}`,
    );
    const script = "require('http').get('http://localhost:9091/metrics',r=>r.pipe(process.stdout))";
    const metrics = await lab.inHost('h2', [process.execPath, '-e', script]);
    expect(metrics.stdout).toMatch(
      /^margay_dataplane_info\{dataplane="iptables",backend="(nft|legacy)",reason="the eBPF .*"\} 1$/m,
    );
    // No policy and no profile: nobody gets through.
    expect(await lab.reaches('one', 'two', 'tcp', 80, 300)).toBe('timeout');
  });

  test('where the kernel cannot be asked, margay why says so and answers from the calculation', async () => {
    const why = ['why', 'default/one', 'two:80/tcp', '-o', 'json'];
    const program = join(REPOSITORY, 'bin', 'margay');
    const result = await lab.inHost('h2', [process.execPath, program, ...why]);
    expect(result.status).toBe(0);
    const answer = JSON.parse(result.stdout) as WhyAnswer;
    expect(answer).toMatchObject({ allow: false, kernelAgrees: null });
    expect(answer.egress.kernel).toEqual({
      asked: false,
      reason: expect.stringContaining('the iptables dataplane cannot be asked for a verdict'),
    });
  });

  test('with other tables than before: those of before are left without a rule of ours', async () => {
    const save = async (backend: string): Promise<number> => {
      const { stdout } = await lab.inHost('h2', [`iptables-${backend}-save`]);
      return stdout.split('\n').filter((line) => line.includes('mgy-')).length;
    };
    const status = await lab.mustMargay(['status', '-o', 'json']);
    const before = /; (nft|legacy) tables: /.exec(status)?.[1] ?? '';
    const after = before === 'nft' ? 'legacy' : 'nft';
    expect(await save(before)).toBeGreaterThan(10);
    const { agent } = lab.host('h2');
    const ended = new Promise((resolve) => agent?.once('exit', resolve));
    const configuration = {
      ...{ apiVersion: 'projectcalico.org/v3', kind: 'FelixConfiguration' },
      metadata: { name: 'node.h2' },
      spec: { iptablesBackend: after === 'nft' ? 'NFT' : 'Legacy' },
    };
    await lab.mustMargay(['apply', '-f', '-'], JSON.stringify(configuration));
    // It takes effect with the next start, which its supervisor would see to.
    expect(await ended).toBe(129);
    await lab.startAgent('h2');
    while ((await save(before)) > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await save(after)).toBeGreaterThan(10);
    expect(await lab.mustMargay(['status'])).toContain(
      `${after} tables: the configuration asks for it`,
    );
  });
});
