/** The truth cases about workloads, through the calculation of both hosts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { CalcHosts } from '../support/calc-hosts.js';
import { type TruthCase, type World, worldOf } from '../support/policy-world.js';
import { REPOSITORY } from '../support/repository.js';
import { resourcesOf } from '../support/world-resources.js';

const file = join(REPOSITORY, 'test', 'contract', 'policy-cases.yaml');
const { world, cases } = parse(readFileSync(file, 'utf8')) as {
  readonly world: Partial<World>;
  readonly cases: readonly TruthCase[];
};

/** What the calculation's output for workloads does not decide, and who does. Others run here. */
const ELSEWHERE: readonly (readonly [reason: string, concerns: (one: TruthCase) => boolean])[] = [
  ['connection state is tracked by the dataplane', ({ packet }) => packet.ct !== undefined],
  ["source check and encapsulation are the dataplane's", ({ id }) => id.startsWith('H')],
  ['host traffic and host endpoints are not workload output', ({ id }) => /^[FG]/.test(id)],
  ['a wildcard host endpoint decides', ({ id }) => /^M0[789]$/.test(id)],
];
const elsewhere = (one: TruthCase): boolean => ELSEWHERE.some(([, concerns]) => concerns(one));
/** These need no host endpoint, although the category does. */
const ALSO_HERE = new Set(['F10', 'G21']);
const here = cases.filter((one) => ALSO_HERE.has(one.id) || !elsewhere(one));

describe('calculated state agrees with truth case', () => {
  test('of which 120 are about workloads', () => {
    expect(here).toHaveLength(120);
  });

  test.each(here.map((one) => [one.id, one.about, one] as const))('%s: %s', (_id, _about, one) => {
    const full = worldOf(world, one);
    const hosts = new CalcHosts(Object.keys(full.nodes));
    hosts.feed(resourcesOf(full));
    hosts.onInSync();
    hosts.flush();
    expect(hosts.verdict(full, one.packet)).toBe(one.verdict);
  });
});
