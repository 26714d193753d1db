import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WhyAnswer } from '../../src/apps/ctl/why/answer.js';
import { REPOSITORY } from '../support/repository.js';
import {
  type CommandResult,
  Lab,
  type LabPlan,
  type WorkloadPlan,
  workloadManifest,
} from './lab.js';

const workload = (name: string, host: string, address: string): WorkloadPlan => ({
  ...{ name, host, address, namespace: 'shop' },
  labels: { app: name },
  profiles: ['kns.shop'],
});
const PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: [
    workload('web', 'h1', '10.65.1.1'),
    workload('batch', 'h1', '10.65.1.2'),
    workload('api', 'h2', '10.65.2.1'),
  ],
};
const BASE = `
apiVersion: projectcalico.org/v3
kind: Profile
metadata: {name: kns.shop}
spec:
  ingress: [{action: Allow}]
  egress: [{action: Allow}]
`;
const POLICY = `
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web-in, namespace: shop}
spec:
  selector: app in {'api', 'batch'}
  ingress:
  - action: Allow
    protocol: TCP
    source: {selector: app == 'web'}
    destination: {ports: [80]}
`;

describe('margay why', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], BASE);
    for (const entry of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-'], workloadManifest(entry));
    }
    await lab.mustMargay(['apply', '-f', '-', '--wait'], POLICY);
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  /** On a host, with another environment if given. */
  function why(
    host: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<CommandResult> {
    const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const program = [process.execPath, join(REPOSITORY, 'bin', 'margay'), 'why'];
    return lab.inHost(host, ['env', ...settings, ...program, ...args]);
  }

  async function told(host: string, ...args: readonly string[]): Promise<WhyAnswer> {
    const result = await why(host, [...args, '-o', 'json']);
    expect(result).toMatchObject({ status: 0 });
    return JSON.parse(result.stdout) as WhyAnswer;
  }

  test.each([
    ['web', 'api', 80],
    ['web', 'api', 5432],
    ['web', 'batch', 80],
    ['batch', 'api', 80],
    ['api', 'web', 80],
  ])('%s -> %s:%i: calculation, kernels and packets agree', async (from, to, port) => {
    const onSource = await told(lab.workload(from).host, from, `shop/${to}:${port}/tcp`);
    const onTarget = await told(lab.workload(to).host, `shop/${from}`, `${to}:${port}`);
    expect(onSource.kernelAgrees).toBe(true);
    expect(onTarget.kernelAgrees).toBe(true);
    expect(onTarget.ingress.kernel.asked).toBe(true);
    const open = (await lab.reaches(from, to, 'tcp', port, onSource.allow ? 800 : 300)) === 'open';
    expect(open).toBe(onSource.allow);
    expect(onTarget.allow).toBe(onSource.allow);
  });

  test('names the rule that allows, and what would change it', async () => {
    const { ingress, egress } = await told('h2', 'web', 'api:80/tcp');
    expect(egress.policies).toMatchObject([{ kind: 'Profile', name: 'kns.shop', rule_index: 0 }]);
    expect(egress.kernel).toMatchObject({ asked: false });
    expect(ingress).toMatchObject({
      policies: [{ kind: 'CalicoNetworkPolicy', tier: 'default', name: 'web-in', rule_index: 0 }],
      reason: `ingress rule 0 of NetworkPolicy shop/web-in (Allow TCP from app == 'web' to ports 80)`,
      kernel: { asked: true, host: 'h2', allow: true, agrees: true },
    });
    expect(ingress.changes).toEqual([
      'without that rule it would be denied: end of tier default, none of whose rules decided',
    ]);
  });

  test('names the end of the tier that denies, and the rule that just misses', async () => {
    const result = await why('h1', ['web', 'batch:81/tcp', '--fail-on', 'deny']);
    expect(result.status).toBe(3);
    expect(result.stdout).toContain(
      'shop/web (10.65.1.1) -> shop/batch (10.65.1.2:81), tcp: denied',
    );
    expect(result.stdout).toContain('end of tier default, none of whose rules decided: deny');
    expect(result.stdout).toContain('but destination port 81 is not in 80');
    expect(result.stdout).toContain('kernel: denied, by the same; decided ');
  });

  test('an ICMP echo request is the default; an address may be anybody', async () => {
    const answer = await told('h1', 'web', '203.0.113.7');
    expect(answer).toMatchObject({
      allow: true,
      packet: { protocol: 1, icmp: { type: 8, code: 0 } },
      ingress: { asked: false, reason: '203.0.113.7 is no endpoint of this cluster' },
    });
  });

  test('a kernel that does not match the datastore is told apart, with exit status 4', async () => {
    const other = join(lab.run.dir, 'other-store');
    const put = (text: string): Promise<CommandResult> => {
      const program = [process.execPath, join(REPOSITORY, 'bin', 'margay'), 'apply', '-f', '-'];
      return lab.inHost('h2', ['env', `MARGAY_DATASTORE_PATH=${other}`, ...program], text);
    };
    for (const entry of lab.workloads.values()) await put(workloadManifest(entry));
    await put(BASE);
    const result = await why('h2', ['web', 'api:81/tcp'], { MARGAY_DATASTORE_PATH: other });
    expect(result.status).toBe(4);
    expect(result.stdout).toContain('kernel: DIFFERS: denied by no rule of tier default matched');
  });

  test('works without an agent, and says that no kernel was asked', async () => {
    const result = await why('h1', ['web', 'api:80'], {
      MARGAY_RUN_DIR: join(lab.run.dir, 'none'),
    });
    expect(result.status).toBe(0);
    expect(result.stdout).toContain('agent.sock: no agent listens there');
  });

  test.each([
    [['nobody', 'api'], 'nobody: neither an address nor the name'],
    [['web', 'api:80/tpc'], 'unknown protocol tpc'],
    [['web', 'api:99999'], '99999 is no port'],
    [['web', 'fd00::1'], 'no address family in common'],
    [['web', 'api', '-o', 'xml'], "unrecognized output format 'xml'"],
    [['web'], "missing required argument 'dst'"],
  ])('margay why %j explains itself and exits 1', async (args, text) => {
    const result = await why('h1', args);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(text);
  });
});
