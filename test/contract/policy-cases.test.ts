/** The truth cases of the specification against the reference evaluator, which the other suites trust. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type TruthCase, type World, worldOf } from '../support/policy-world.js';
import { referenceVerdict } from '../support/reference-evaluator.js';
import { REPOSITORY } from '../support/repository.js';

const file = join(REPOSITORY, 'test', 'contract', 'policy-cases.yaml');
const { world, cases } = parse(readFileSync(file, 'utf8')) as {
  readonly world: Partial<World>;
  readonly cases: readonly TruthCase[];
};

describe('the reference evaluator agrees with truth case', () => {
  test('of which there are 168', () => {
    expect(new Set(cases.map(({ id }) => id)).size).toBe(168);
  });

  test.each(cases.map((one) => [one.id, one.about, one] as const))('%s: %s', (_id, _about, one) => {
    expect(referenceVerdict(worldOf(world, one), one.packet)).toBe(one.verdict);
  });
});
