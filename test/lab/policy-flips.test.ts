import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Lab, type LabPlan, workloadManifest } from './lab.js';

const FLIPS = 100;
const PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: [
    {
      name: 'client',
      host: 'h1',
      namespace: 'default',
      address: '10.65.1.1',
      labels: { app: 'client' },
      profiles: ['open'],
    },
    {
      name: 'server',
      host: 'h2',
      namespace: 'default',
      address: '10.65.2.1',
      labels: { app: 'server' },
      profiles: ['open'],
    },
  ],
};

const PROFILE = JSON.stringify({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Profile',
  metadata: { name: 'open' },
  spec: { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] },
});

const policy = (action: 'Allow' | 'Deny'): string =>
  JSON.stringify({
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name: 'flip', namespace: 'default' },
    spec: {
      selector: "app == 'server'",
      ingress: [
        {
          action,
          protocol: 'TCP',
          source: { selector: "app == 'client'" },
          destination: { ports: [80] },
        },
      ],
    },
  });

/** Below the first retransmission (1 s), so that a handshake that had to be repeated does not count as open. */
const patience = (isOpen: boolean): number => (isOpen ? 900 : 150);

describe('a policy edit applied with --wait', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], PROFILE);
    for (const workload of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(workload));
    }
    await lab.mustMargay(['apply', '-f', '-', '--wait'], policy('Deny'));
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
      const output = await lab.mustMargay(['apply', '-f', '-', '--wait'], policy(action));
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
