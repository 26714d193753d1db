import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FLIP_PLAN, flipPolicy, OPEN_PROFILE } from './flip-plan.js';
import { Lab, workloadManifest } from './lab.js';

const FLIPS = 100;

/** Below the first retransmission (1 s), so that a handshake that had to be repeated does not count as open. */
const patience = (isOpen: boolean): number => (isOpen ? 900 : 150);

describe('a policy edit applied with --wait', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(FLIP_PLAN);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], OPEN_PROFILE);
    for (const workload of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(workload));
    }
    await lab.mustMargay(['apply', '-f', '-', '--wait'], flipPolicy('Deny'));
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  test(`is in force when the command returns: ${FLIPS} flips, none early, none late`, async () => {
    const wrong: string[] = [];
    const waits: number[] = [];
    for (let flip = 0; flip < FLIPS; flip++) {
      const action = flip % 2 === 0 ? 'Allow' : 'Deny';
      const before = await lab.reaches('client', 'server', 'tcp', 80, patience(action === 'Deny'));
      if ((before === 'open') !== (action === 'Deny'))
        wrong.push(`flip ${flip}: ${before} before ${action}`);
      const output = await lab.mustMargay(['apply', '-f', '-', '--wait'], flipPolicy(action));
      const after = await lab.reaches('client', 'server', 'tcp', 80, patience(action === 'Allow'));
      if ((after === 'open') !== (action === 'Allow'))
        wrong.push(`flip ${flip}: ${after} after ${action}`);
      waits.push(Number(/after ([\d.]+) ms/.exec(output)?.[1]));
    }
    waits.sort((a, b) => a - b);
    const at = (share: number): string =>
      (waits[Math.floor(share * waits.length)] ?? Number.NaN).toFixed(1);
    process.stdout.write(
      `${FLIPS} flips, wait for two hosts: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`,
    );
    expect(wrong).toEqual([]);
  }, 240_000);
});
