import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { REPOSITORY } from '../support/repository.js';
import { PLAN, SERVICES, STEPS } from './demo/story.js';
import { Lab, workloadManifest } from './lab.js';
import { allFlows, differences, probeAll } from './matrix.js';

const names = PLAN.workloads.map((workload) => workload.name);
const flows = allFlows(names, SERVICES);

describe("the demo's policies on real packets", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    await lab.startAgents();
    for (const workload of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-'], workloadManifest(workload));
    }
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  test('workloads without policy and without profile are closed', async () => {
    const revision = await lab.mustMargay(
      ['apply', '-f', '-', '--wait'],
      workloadManifest(lab.workload('db')),
    );
    expect(revision).toContain('In force on 3 host(s)');
    expect(differences(flows, await probeAll(lab, flows), () => false)).toEqual([]);
  });

  test.each(STEPS)('$file: $title', async ({ file, expected }) => {
    await lab.mustMargay(['apply', '-f', join(REPOSITORY, 'examples', file), '--wait']);
    expect(differences(flows, await probeAll(lab, flows), expected)).toEqual([]);
  });

  test('deleting the policies in reverse order goes back through the same states', async () => {
    for (let i = STEPS.length - 1; i > 1; i--) {
      const file = STEPS[i]?.file ?? '';
      await lab.mustMargay(['delete', '-f', join(REPOSITORY, 'examples', file), '--wait']);
      const expected = STEPS[i - 1]?.expected ?? (() => false);
      expect(differences(flows, await probeAll(lab, flows), expected)).toEqual([]);
    }
  }, 120_000);
});
