/**
 * Agents that end and start under traffic. The short form is part of every run; MARGAY_STORM=full is what the project
 * promises: 100 restarts, 20 SIGKILLs and 5 upgrades under 50 000 packets/s and 200 connections.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Lab, type LabPlan, workloadManifest } from './lab.js';
import { Storm, STORM_PORTS, type StormReport } from './storm.js';

const FULL = process.env['MARGAY_STORM'] === 'full';
const AMOUNT = FULL
  ? { restarts: 100, kills: 20, upgrades: 5, packetsPerSecond: 50_000, connections: 200 }
  : { restarts: 4, kills: 2, upgrades: 1, packetsPerSecond: 10_000, connections: 200 };
const TIMEOUT_MS = FULL ? 1_800_000 : 120_000;

const workload = (name: string, host: string, address: string) => ({
  ...{ name, host, address, namespace: 'default' },
  ...{ labels: { app: name }, profiles: [] },
});

const PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: [
    workload('a', 'h1', '10.65.1.1'),
    workload('b', 'h1', '10.65.1.2'),
    workload('c', 'h2', '10.65.2.1'),
  ],
};

const { echo, oneWay, denied } = STORM_PORTS;
/** Both ends have a say: egress of the sender allows everything, the replies of a server need no rule. */
const POLICY = `
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: storm, namespace: default}
spec:
  selector: has(app)
  types: [Ingress, Egress]
  ingress:
  - {action: Deny, protocol: UDP, destination: {ports: [${denied}]}}
  - {action: Allow, protocol: TCP, destination: {ports: [${echo}]}}
  - {action: Allow, protocol: UDP, destination: {ports: [${echo}, ${oneWay}]}}
  egress:
  - {action: Allow, source: {selector: app == 'a'}}
`;

describe('agents that end and start under traffic', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], POLICY);
    for (const each of lab.workloads.values())
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(each));
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  /** One storm inside a host and one between hosts, while `disturb` runs. */
  async function weather(disturb: () => Promise<void>): Promise<readonly StormReport[]> {
    const half = {
      from: 'a',
      packetsPerSecond: AMOUNT.packetsPerSecond / 2,
      connections: AMOUNT.connections / 2,
    };
    const storms = [
      await Storm.start(lab, { ...half, to: 'b' }),
      await Storm.start(lab, { ...half, to: 'c' }),
    ];
    await disturb();
    return Promise.all(storms.map((storm) => storm.end()));
  }

  function expectNothingLost(what: string, reports: readonly StormReport[]): void {
    process.stdout.write(`${what}: ${JSON.stringify(reports)}\n`);
    for (const report of reports) {
      expect(report).toMatchObject({ lost: 0, deniedArrived: 0, broken: 0 });
      expect(report).toMatchObject({ fresh: { refused: 0 }, deniedFresh: { opened: 0 } });
      expect(report.denied).toBeGreaterThan(0);
      expect(report.fresh.opened).toBeGreaterThan(0);
      expect(report.deniedFresh.refused).toBeGreaterThan(0);
    }
  }

  test.each([
    ['SIGTERM', AMOUNT.restarts],
    ['SIGKILL', AMOUNT.kills],
  ] as const)(
    'by %s, %i times: nothing lost, reset or wrongly decided',
    async (signal, times) => {
      const reports = await weather(async () => {
        for (let i = 0; i < times; i++) {
          const host = i % 2 === 0 ? 'h1' : 'h2';
          await lab.stopAgent(host, signal);
          await lab.startAgent(host);
        }
      });
      expectNothingLost(`${times} x ${signal}`, reports);
    },
    TIMEOUT_MS,
  );

  test(
    `onto tables of another shape, ${AMOUNT.upgrades} times: nothing lost, reset or wrongly decided`,
    async () => {
      const reports = await weather(async () => {
        for (let i = 0; i < AMOUNT.upgrades; i++) {
          for (const host of lab.hosts.keys()) {
            await lab.stopAgent(host, 'SIGTERM');
            // Not the size that the agent before had: every connection has to be taken over into a new table.
            await lab.startAgent(host, { FELIX_BPFMAPSIZECONNTRACK: String(32_768 + 1024 * i) });
            expect(readFileSync(lab.logPath(host), 'utf8')).toContain('earlier table taken over');
          }
        }
      });
      expectNothingLost(`${AMOUNT.upgrades} x other tables`, reports);
    },
    TIMEOUT_MS,
  );
});
