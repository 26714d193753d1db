/**
 * Random worlds x policies x packets: datastore objects, calculation, tables in real maps and the real
 * programs say what the reference evaluator says: the verdict, and which side's policy it was.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { formatKey, type ResourceUpdate } from '../../src/model/update.js';
import {
  frameOf,
  hostAddressesOf,
  lookupOf,
  type Probe,
  Reference,
  randomProbes,
  type Side,
  withOwnAddresses,
} from '../support/bpf-probes.js';
import { BpfTables, HostLinks } from '../support/bpf-tables.js';
import type { World } from '../support/policy-world.js';
import { WorldMaker } from '../support/random-world.js';
import { gone, resourcesOf } from '../support/world-resources.js';

const CHAINS = 40;
/** Worlds of a chain follow one another in the same tables, so that what the last one left is used again. */
const WORLDS_PER_CHAIN = 8;
const PACKETS_PER_WORLD = 50;

const links = new HostLinks(`mgydiff-v-${process.pid}`);
let tables: BpfTables;
beforeAll(async () => {
  tables = await BpfTables.open(links);
});
afterAll(() => {
  links[Symbol.dispose]();
  tables[Symbol.dispose]();
});

const reasons = new Map<string, number>();

interface Disagreement {
  readonly seed: number;
  readonly probe: Probe;
  readonly found: unknown;
  readonly wanted: unknown;
}

function expectedOf(reference: Reference, probe: Probe): unknown {
  const reason = reference.reason(probe);
  const dropped = reason.startsWith('drop');
  const noted = reason === 'ok-new' || reason === 'ok-host';
  const egress = reference.side('egress', probe.seen);
  const ingress = reference.side('ingress', probe.seen);
  return { reason, dropped, noted, egress, ingress };
}

function foundBy(probe: Probe) {
  const { egress, ingress } = tables.lookup(lookupOf(probe.seen));
  const sideOf = (verdict: { readonly allow: boolean } | null): Side =>
    verdict === null ? 'none' : verdict.allow ? 'allow' : 'deny';
  const outcome = tables.run(probe, frameOf(probe.seen));
  return { ...outcome, egress: sideOf(egress), ingress: sideOf(ingress) };
}

function disagreements(seed: number, world: World, node: string): Disagreement[] {
  const maker = new WorldMaker(seed + 1_000_000);
  const reference = new Reference(world, node);
  const wrong: Disagreement[] = [];
  for (let i = 0; i < PACKETS_PER_WORLD; i++) {
    for (const probe of randomProbes(maker, world, node)) {
      const wanted = expectedOf(reference, probe);
      const found = foundBy(probe);
      reasons.set(found.reason, (reasons.get(found.reason) ?? 0) + 1);
      if (JSON.stringify(found) !== JSON.stringify(wanted))
        wrong.push({ seed, probe, found, wanted });
    }
  }
  tables.checkCounters();
  return wrong;
}

/** From one world to the next. */
function transition(from: readonly ResourceUpdate[], to: readonly ResourceUpdate[]) {
  const kept = new Set(to.map(({ key }) => formatKey(key)));
  return [...to, ...from.filter(({ key }) => !kept.has(formatKey(key))).map(gone)];
}

describe(`${CHAINS} chains of ${WORLDS_PER_CHAIN} random worlds`, () => {
  const chains = Array.from({ length: CHAINS }, (_, chain) => chain);

  test.each(chains)('programs, tables and reference agree in chain %i', (chain) => {
    const node = chain % 2 === 0 ? 'n1' : 'n2';
    let objects: readonly ResourceUpdate[] = [];
    for (let i = 0; i < WORLDS_PER_CHAIN; i++) {
      const seed = chain * WORLDS_PER_CHAIN + i;
      const maker = new WorldMaker(seed);
      const world = withOwnAddresses(maker.world(), maker, i);
      const next = resourcesOf(world);
      const { errors } =
        i === 0
          ? tables.become(node, hostAddressesOf(world, node), next)
          : tables.update(transition(objects, next));
      expect(errors).toEqual([]);
      expect(disagreements(seed, world, node).slice(0, 3)).toEqual([]);
      objects = next;
    }
  });

  test('there were enough verdicts, of every kind', () => {
    const total = [...reasons.values()].reduce((sum, count) => sum + count, 0);
    process.stderr.write(
      `${total} verdicts of the programs: ${JSON.stringify(Object.fromEntries(reasons))}\n`,
    );
    expect(total).toBeGreaterThanOrEqual(20_000);
    for (const reason of ['ok-new', 'drop-policy-out', 'drop-policy-in'])
      expect([reason, (reasons.get(reason) ?? 0) > total / 10]).toEqual([reason, true]);
  });
});
