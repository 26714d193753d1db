/**
 * Packets between every two stores of a commit, while random changes are applied: for each packet, what is
 * seen of egress and of ingress policy is the reference's answer before the change or after it, never a third,
 * and never the old one again once the new one has been seen. Across the two sides there is no such promise
 * (docs/design/policy-tables.md), so each is judged by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  frameOf,
  hostAddressesOf,
  type Probe,
  Reference,
  randomProbes,
  withOwnAddresses,
} from '../support/bpf-probes.js';
import { BpfTables, HostLinks, type Program } from '../support/bpf-tables.js';
import type { World } from '../support/policy-world.js';
import { WorldMaker } from '../support/random-world.js';
import { CHANGES, updatesBetween } from '../support/world-changes.js';
import { resourcesOf } from '../support/world-resources.js';

const HISTORIES = 30;
const UPDATES_PER_HISTORY = 16;
const PACKETS_PER_WORLD = 16;
/** After each store: of those packets whose verdict changes, and of the others, in turns. */
const CHANGING_PER_STORE = 10;
const STEADY_PER_STORE = 16;
/**
 * A port range that is cut in two moves up to 32 768 ports, each by a store: of a long row of stores to the same
 * map only the first are watched one by one, then every so many.
 */
const WATCHED_IN_A_ROW = 24;
const THEN_EVERY = 1021;
const NODE = 'n1';

const links = new HostLinks(`mgydiff-s-${process.pid}`);
let tables: BpfTables;
beforeAll(async () => {
  tables = await BpfTables.open(links);
});
afterAll(() => {
  links[Symbol.dispose]();
  tables[Symbol.dispose]();
});

/** What one packet tells, or may tell, of each thing that changes by itself. */
interface Sides<Value> {
  /** Whether it is refused for the interface it came by. */
  readonly source: Value;
  readonly egress: Value;
  readonly ingress: Value;
}
const SIDES = ['source', 'egress', 'ingress'] as const;

/** A reason, as the values of each side that it is compatible with; what is not listed it says nothing of. */
const TELLS: Readonly<
  Record<Program, Readonly<Record<string, Partial<Sides<readonly string[]>>>>>
> = {
  fromWorkload: {
    'drop-spoofed': { egress: ['none'] },
    'drop-policy-out': { egress: ['deny'] },
    'drop-policy-in': { egress: ['allow'], ingress: ['deny'] },
    'drop-to-host': { egress: ['allow'], ingress: ['none'] },
    'ok-new': { egress: ['allow'], ingress: ['allow', 'none'] },
  },
  toWorkload: {
    'ok-host': {},
    'drop-not-ready': { ingress: ['none'] },
    'drop-spoofed': { source: ['misplaced'] },
    'drop-policy-in': { ingress: ['deny'] },
    'ok-new': { ingress: ['allow'] },
  },
  fromNetwork: {
    'drop-spoofed': { source: ['misplaced'] },
    'ok-pass': { ingress: ['none'] },
    'drop-policy-in': { ingress: ['deny'] },
    'ok-new': { ingress: ['allow'] },
  },
};

/** As the packet meets them: an address that is another interface's now is no workload's here. */
function sidesOf(reference: Reference, probe: Probe): Sides<string> {
  const { program, ifindex, ingressIfindex, seen } = probe;
  const from = reference.interfaceOf(seen.source);
  const to = reference.interfaceOf(seen.destination);
  const leaves = program !== 'fromWorkload' || from === ifindex;
  const arrives = program !== 'toWorkload' || to === ifindex;
  return {
    source: from !== 0 && from !== ingressIfindex ? 'misplaced' : 'placed',
    egress: leaves ? reference.side('egress', seen) : 'none',
    ingress: arrives ? reference.side('ingress', seen) : 'none',
  };
}

/** One packet while one change is under way. */
class Watch {
  readonly probe: Probe;
  readonly changes: boolean;
  readonly #frame: Uint8Array;
  readonly #before: Sides<string>;
  readonly #after: Sides<string>;
  readonly #reasonAfter: string;
  readonly #switched = new Set<string>();

  constructor(probe: Probe, before: Reference, after: Reference) {
    this.probe = probe;
    this.#frame = frameOf(probe.seen);
    this.#before = sidesOf(before, probe);
    this.#after = sidesOf(after, probe);
    this.#reasonAfter = after.reason(probe);
    this.changes = SIDES.some((side) => this.#before[side] !== this.#after[side]);
  }

  /** What is wrong with what is seen now, or null. */
  look(): string | null {
    const { reason } = tables.run(this.probe, this.#frame);
    const tells = TELLS[this.probe.program][reason];
    if (tells === undefined) return `${reason}: unexpected`;
    for (const side of SIDES) {
      const values = tells[side];
      if (values === undefined) continue;
      const isOld = values.includes(this.#before[side]);
      const isNew = values.includes(this.#after[side]);
      const was = `${reason}: ${side} was ${this.#before[side]}, becomes ${this.#after[side]}`;
      if (!isOld && !isNew) return `${was}: a third verdict`;
      if (isOld && !isNew && this.#switched.has(side)) return `${was}: went back`;
      if (isNew && !isOld) this.#switched.add(side);
    }
    return null;
  }

  /** As look(), once the change is complete. */
  settle(): string | null {
    const { reason } = tables.run(this.probe, this.#frame);
    return reason === this.#reasonAfter ? null : `${reason}, not ${this.#reasonAfter}, afterwards`;
  }
}

interface Fault {
  readonly seed: number;
  readonly update: readonly string[];
  readonly probe: Probe;
  readonly wrong: string;
}

const totals = { updates: 0, effective: 0, stores: 0, between: 0, transitions: 0, afterwards: 0 };
const applied = new Map<string, number>();

/** One thing changes, or several in one commit. */
function nextWorld(world: World, maker: WorldMaker): { world: World; names: readonly string[] } {
  const names = Array.from({ length: maker.pick([1, 2, 3, 4]) }, () =>
    maker.pick(Object.keys(CHANGES)),
  );
  const next = names.reduce((last, name) => CHANGES[name]?.(last, maker) ?? last, world);
  return { world: next, names };
}

function watchesOf(maker: WorldMaker, before: World, after: World): Watch[] {
  const references = [new Reference(before, NODE), new Reference(after, NODE)] as const;
  const packets = Array.from({ length: PACKETS_PER_WORLD }, () => maker.pick([before, after]));
  return [...packets, before, after]
    .flatMap((world) => randomProbes(maker, world, NODE))
    .map((probe) => new Watch(probe, ...references));
}

/** Applies one change with packets in between. */
function applyWatched(
  before: World,
  after: World,
  watches: readonly Watch[],
): readonly (readonly [Watch, string])[] {
  const wrong: (readonly [Watch, string])[] = [];
  const changing = watches.filter(({ changes }) => changes);
  const steady = watches.filter(({ changes }) => !changes);
  let turn = 0;
  let row = 0;
  let last: object | null = null;
  const look = (list: readonly Watch[], limit: number): void => {
    for (let i = 0; i < Math.min(limit, list.length); i++) {
      const watch = list[(turn * limit + i) % list.length];
      const fault = watch?.look() ?? null;
      if (watch !== undefined && fault !== null) wrong.push([watch, fault]);
      totals.between++;
    }
  };
  tables.onStore = (view) => {
    row = view === last ? row + 1 : 0;
    last = view;
    if (row >= WATCHED_IN_A_ROW && row % THEN_EVERY !== 0) return;
    look(changing, CHANGING_PER_STORE);
    look(steady, STEADY_PER_STORE);
    turn++;
  };
  const { stores, errors } = tables.update(updatesBetween(before, after));
  tables.onStore = null;
  expect(errors).toEqual([]);
  for (const watch of watches) {
    const fault = watch.settle();
    if (fault !== null) wrong.push([watch, fault]);
  }
  tables.checkCounters();
  totals.stores += stores;
  totals.updates += stores > 0 ? 1 : 0;
  totals.effective += changing.length > 0 ? 1 : 0;
  totals.transitions += changing.length;
  totals.afterwards += watches.length;
  return wrong;
}

function faultsOf(seed: number): Fault[] {
  const maker = new WorldMaker(seed + 5_000_000);
  let world = withOwnAddresses(maker.world(), maker);
  expect(tables.become(NODE, hostAddressesOf(world, NODE), resourcesOf(world)).errors).toEqual([]);
  const faults: Fault[] = [];
  for (let i = 0; i < UPDATES_PER_HISTORY; i++) {
    const next = nextWorld(world, maker);
    for (const name of next.names) applied.set(name, (applied.get(name) ?? 0) + 1);
    const watches = watchesOf(maker, world, next.world);
    for (const [{ probe }, wrong] of applyWatched(world, next.world, watches))
      faults.push({ seed, update: next.names, probe, wrong });
    world = next.world;
  }
  return faults;
}

describe(`${HISTORIES} histories of ${UPDATES_PER_HISTORY} changes`, () => {
  const seeds = Array.from({ length: HISTORIES }, (_, seed) => seed);

  test.each(seeds)('show each packet the old or the new verdict, history %i', (seed) => {
    expect(faultsOf(seed).slice(0, 3)).toEqual([]);
  });

  test('there was enough to see', () => {
    process.stderr.write(`storm: ${JSON.stringify(totals)}\n`);
    expect(totals.updates).toBeGreaterThanOrEqual(200);
    expect(totals.effective).toBeGreaterThanOrEqual(50);
    expect([...applied.keys()].sort()).toEqual(Object.keys(CHANGES).sort());
  });
});
