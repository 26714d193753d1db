/** Random worlds as packets through a real kernel by every driver, side by side: equal to the evaluator and each other. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DRIVERS, type DriverName } from '../support/dataplane-process.js';
import { DesiredHost } from '../support/desired-path.js';
import {
  calculated,
  DriverHosts,
  expectedVerdict,
  isElsewhereInEbpf,
  visitsOf,
} from '../support/driver-hosts.js';
import type { DesiredState } from '../support/desired-evaluator.js';
import type { Visit } from '../support/policed-host.js';
import type { World } from '../support/policy-world.js';
import { HostWorldMaker } from '../support/random-hosts.js';
import { WorldMaker } from '../support/random-world.js';

/** Per kind of world, from FIRST on. MARGAY_TEST_WORLDS asks for more. */
const WORLDS = Number(process.env['MARGAY_TEST_WORLDS'] ?? 6);
const FIRST = Number(process.env['MARGAY_TEST_WORLD'] ?? 0);
const PACKETS = 40;
const MAKERS = { 'of workloads': WorldMaker, 'of workloads and hosts': HostWorldMaker };

describe.each(Object.entries(MAKERS))('random worlds %s', (about, Maker) => {
  let drivers: readonly DriverHosts[];
  const compared = { packets: 0, allowed: 0 };
  beforeAll(() => {
    const id = `mgydw${process.pid % 100_000}${about.length % 10}`;
    drivers = DRIVERS.map((driver) => new DriverHosts(driver, id));
  });
  afterAll(async () => {
    for (const driver of drivers) await driver[Symbol.asyncDispose]();
    process.stdout.write(
      `${WORLDS} worlds ${about}: ${compared.packets} packets by ${DRIVERS.length} drivers, ${compared.allowed} allowed\n`,
    );
  });

  /** By driver; undefined where the driver cannot be asked. */
  async function verdicts(
    world: World,
    state: DesiredState,
    visits: readonly Visit[],
    node: string,
  ) {
    const answers = drivers.map(async (hosts) => {
      const { driver } = hosts;
      const host = hosts.host(node);
      const isAsked = ({ hop, packet }: Visit): boolean =>
        driver !== 'ebpf' || !isElsewhereInEbpf(world, hop, packet);
      const asked = visits.filter(isAsked);
      await host.program(world, state);
      const passed = await host.passes(world, asked);
      const found = new Map(
        asked.map((visit, i) => [visit, passed[i] === true ? 'allow' : 'deny']),
      );
      return [driver, found] as const;
    });
    return new Map<DriverName, ReadonlyMap<Visit, string>>(await Promise.all(answers));
  }

  const seeds = Array.from({ length: WORLDS }, (_, at) => FIRST + at);
  test.each(seeds)(`world %i, ${PACKETS} packets: drivers = evaluator`, async (seed) => {
    const maker = new Maker(seed);
    const world = maker.world();
    const hosts = calculated(world);
    const packets = Array.from({ length: PACKETS }, () => maker.packet(world));
    for (const node of Object.keys(world.nodes)) {
      const { state } = hosts.host(node);
      const host = new DesiredHost(world, node, state);
      const visits = visitsOf(world, node, { host, packets });
      const found = await verdicts(world, state, visits, node);
      const wrong = visits.flatMap((visit) => {
        const expected = expectedVerdict(world, host, visit);
        compared.packets++;
        if (expected === 'allow') compared.allowed++;
        return [...found].flatMap(([driver, verdictOf]) => {
          const verdict = verdictOf.get(visit) ?? expected;
          return verdict === expected ? [] : [{ seed, driver, ...visit, expected, verdict }];
        });
      });
      expect(wrong.slice(0, 3)).toEqual([]);
    }
  });
});
