/** Random worlds x policies x packets: calculated state and the reference evaluator say the same. */
import { describe, expect, test } from '@jest/globals';
import { CalcHosts } from '../support/calc-hosts.js';
import { WorldMaker } from '../support/random-world.js';
import { referenceVerdict } from '../support/reference-evaluator.js';
import { resourcesOf } from '../support/world-resources.js';

const WORLDS = 600;
const PACKETS = 40;
const WORLDS_PER_TEST = 50;

interface Disagreement {
  readonly seed: number;
  readonly packet: unknown;
  readonly calculated: string;
  readonly reference: string;
}

function disagreements(seed: number, verdicts: Map<string, number>): Disagreement[] {
  const maker = new WorldMaker(seed);
  const world = maker.world();
  const hosts = new CalcHosts(Object.keys(world.nodes));
  hosts.feed(resourcesOf(world));
  hosts.onInSync();
  hosts.flush();
  return Array.from({ length: PACKETS }, () => maker.packet(world)).flatMap((packet) => {
    const calculated = hosts.verdict(world, packet);
    const reference = referenceVerdict(world, packet);
    verdicts.set(reference, (verdicts.get(reference) ?? 0) + 1);
    return calculated === reference ? [] : [{ seed, packet, calculated, reference }];
  });
}

describe(`${WORLDS} random worlds with ${PACKETS} packets each`, () => {
  const verdicts = new Map<string, number>();
  const firsts = Array.from({ length: WORLDS / WORLDS_PER_TEST }, (_, i) => i * WORLDS_PER_TEST);

  test.each(firsts)('calculated state = reference from seed %i on', (first) => {
    const seeds = Array.from({ length: WORLDS_PER_TEST }, (_, i) => first + i);
    expect(seeds.flatMap((seed) => disagreements(seed, verdicts))).toEqual([]);
  });

  test('neither verdict is rare', () => {
    const total = WORLDS * PACKETS;
    expect((verdicts.get('allow') ?? 0) + (verdicts.get('deny') ?? 0)).toBe(total);
    expect(verdicts.get('allow') ?? 0).toBeGreaterThan(total / 10);
    expect(verdicts.get('deny') ?? 0).toBeGreaterThan(total / 10);
  });
});
