/** The demo's story on the iptables dataplane, both kinds of tables; then the same hosts change to eBPF and back. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { REPOSITORY } from '../support/repository.js';
import { PLAN, SERVICES, STEPS } from './demo/story.js';
import { Lab, workloadManifest } from './lab.js';
import { allFlows, differences, probeAll } from './matrix.js';

const names = PLAN.workloads.map((workload) => workload.name);
const flows = allFlows(names, SERVICES);

describe.each(['NFT', 'Legacy'])('the demo on iptables, %s', (backend) => {
  let lab: Lab;
  beforeAll(async () => {
    const environment = {
      MARGAY_DATAPLANE: 'iptables',
      FELIX_IPTABLESBACKEND: backend,
      FELIX_IPTABLESREFRESHINTERVAL: '1',
    };
    lab = await Lab.build({ ...PLAN, environment });
    await lab.startAgents();
    for (const workload of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-'], workloadManifest(workload));
    }
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  test.each(STEPS)('$file: $title', async ({ file, expected }) => {
    await lab.mustMargay(['apply', '-f', join(REPOSITORY, 'examples', file), '--wait']);
    expect(differences(flows, await probeAll(lab, flows), expected)).toEqual([]);
  });

  test('after somebody has flushed all rules, the same is enforced within the refresh interval', async () => {
    const program = `iptables-${backend.toLowerCase()}`;
    const rulesOf = async (): Promise<string> => {
      const { stdout } = await lab.inHost('h1', [`${program}-save`]);
      return stdout
        .split('\n')
        .filter((line) => line.startsWith('-A '))
        .join('\n');
    };
    const before = await rulesOf();
    for (const table of ['raw', 'nat', 'filter']) {
      await lab.inHost('h1', [program, '-w', '-t', table, '-F']);
    }
    expect(await rulesOf()).toBe('');
    while ((await rulesOf()) !== before) await new Promise((resolve) => setImmediate(resolve));
    const last = STEPS.at(-1);
    expect(differences(flows, await probeAll(lab, flows), last?.expected ?? (() => true))).toEqual(
      [],
    );
  });
});
