/** Random worlds x policies x packets: calculated state and the reference evaluator say the same. */
import { describe, expect, test } from '@jest/globals';
import { CalcHosts } from '../support/calc-hosts.js';
import { HostWorldMaker } from '../support/random-hosts.js';
import { WorldMaker } from '../support/random-world.js';
import { referenceJudge } from '../support/reference-evaluator.js';
import { resourcesOf } from '../support/world-resources.js';

const WORLDS = 1000;
const PACKETS = 100;
const WORLDS_PER_TEST = 100;
/** Workloads alone are what most packets concern; hosts have more ways to go wrong. */
const MAKERS = { 'of workloads': WorldMaker, 'of workloads and hosts': HostWorldMaker };

/** Every stage of host endpoints must have decided everything it can, this often at least. */
const RARE = 200;
const STAGE_DECISIONS = [
  ...['untracked ingress', 'untracked egress', 'preDnat ingress'],
  ...['normal ingress', 'normal egress', 'forward ingress', 'forward egress'],
].flatMap((where) =>
  ['allow', 'deny', ...(where.startsWith('normal') ? [] : ['continue'])].map(
    (decision) => `${where} ${decision}`,
  ),
);

interface Disagreement {
  readonly seed: number;
  readonly packet: unknown;
  readonly calculated: string;
  readonly reference: string;
}

function count(tally: Map<string, number>, what: string, times: number): void {
  tally.set(what, (tally.get(what) ?? 0) + times);
}

function disagreements(maker: WorldMaker, seed: number, tally: Map<string, number>) {
  const world = maker.world();
  const hosts = new CalcHosts(Object.keys(world.nodes));
  hosts.feed(resourcesOf(world));
  hosts.onInSync();
  hosts.flush();
  const calculatedOf = hosts.judge(world);
  const referenceOf = referenceJudge(world);
  const found: Disagreement[] = [];
  for (let i = 0; i < PACKETS; i++) {
    const packet = maker.packet(world);
    const calculated = calculatedOf(packet);
    const reference = referenceOf(packet);
    count(tally, reference, 1);
    if (calculated !== reference) found.push({ seed, packet, calculated, reference });
  }
  for (const node of Object.keys(world.nodes)) {
    for (const [what, times] of hosts.host(node).state.stageDecisions) count(tally, what, times);
  }
  return found;
}

describe.each(Object.entries(MAKERS))(
  `${WORLDS} random worlds %s with ${PACKETS} packets each`,
  (_about, Maker) => {
    const tally = new Map<string, number>();
    const firsts = Array.from({ length: WORLDS / WORLDS_PER_TEST }, (_, i) => i * WORLDS_PER_TEST);

    test.each(firsts)('calculated state = reference from seed %i on', (first) => {
      const seeds = Array.from({ length: WORLDS_PER_TEST }, (_, i) => first + i);
      const found = seeds.flatMap((seed) => disagreements(new Maker(seed), seed, tally));
      expect(found.slice(0, 3)).toEqual([]);
    });

    test('neither verdict is rare', () => {
      const total = WORLDS * PACKETS;
      const [allowed = 0, denied = 0] = [tally.get('allow'), tally.get('deny')];
      expect(allowed + denied).toBe(total);
      expect(Math.min(allowed, denied)).toBeGreaterThan(total / 10);
      if (Maker === HostWorldMaker) {
        const rare = STAGE_DECISIONS.filter((what) => (tally.get(what) ?? 0) < RARE);
        expect(rare).toEqual([]);
      }
    });
  },
);
