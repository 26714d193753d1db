/** The truth cases of the specification, through the calculation of both hosts. */
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

describe('calculated state agrees with truth case', () => {
  test('of which there are 168', () => {
    expect(new Set(cases.map(({ id }) => id)).size).toBe(168);
  });

  test.each(cases.map((one) => [one.id, one.about, one] as const))('%s: %s', (_id, _about, one) => {
    const full = worldOf(world, one);
    const hosts = new CalcHosts(Object.keys(full.nodes));
    hosts.feed(resourcesOf(full));
    hosts.onInSync();
    hosts.flush();
    expect(hosts.verdict(full, one.packet)).toBe(one.verdict);
  });
});
