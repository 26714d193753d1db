import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Decision, Lookup, Packet, Verdict } from './policy-tables.js';
import { PolicyTables } from './policy-tables.js';
import { allocatePolicyMaps } from './policy-maps.js';
import { copyWorld, emptyWorld, judge, type OracleVerdict, type World } from './policy-oracle.js';
import {
  anyChange,
  type Change,
  change,
  foundation,
  PLAIN_PACKETS,
  packet,
  plainChange,
  plainFoundation,
} from './policy-worlds.js';

const SIZES = {
  ...{
    nodes: 256,
    nodes6: 64,
    infos: 2048,
    endpoints: 256,
    nexthops: 16,
    policySets: 512,
    arenaLines: 65_536,
  },
};

/** Raised by hand for a long soak. */
const RUNS = 1;

const DIRECTIONS = ['egress', 'ingress'] as const;

function textOf(decision: Decision): string {
  switch (decision.by) {
    case 'policy':
    case 'profile':
      return `${decision.by} ${decision.id} ${decision.direction} ${decision.index}`;
    case 'end-of-tier':
      return `end-of-tier ${decision.tier}`;
    case 'missing-profile':
      return `missing-profile ${decision.id}`;
    default:
      return decision.by;
  }
}

const seen = (tables: PolicyTables, verdict: Verdict | null): string =>
  verdict === null
    ? 'none'
    : JSON.stringify([verdict.allow, verdict.log, tables.describeTrace(verdict.trace).map(textOf)]);

const wanted = (verdict: OracleVerdict | null): string =>
  verdict === null ? 'none' : JSON.stringify([verdict.allow, verdict.log, verdict.by]);

function compare(tables: PolicyTables, world: World, packets: readonly Packet[]): void {
  for (const each of packets) {
    const found: Lookup = tables.lookup(each);
    for (const direction of DIRECTIONS) {
      const have = seen(tables, found[direction]);
      const want = wanted(judge(world, each, direction));
      if (have !== want) {
        const about = { each, direction };
        throw new Error(`${JSON.stringify(about)}: the tables say ${have}, the rules ${want}`);
      }
    }
  }
}

const apply = (changes: readonly Change[], world: World, tables: PolicyTables): void => {
  for (const each of changes) each(world, tables);
};

function clear(tables: PolicyTables, world: World): void {
  for (const id of world.endpoints.keys()) tables.removeEndpoint(id);
  for (const id of world.policies.keys()) tables.removePolicy(id);
  for (const id of world.profiles.keys()) tables.removeProfile(id);
  for (const id of world.ipSets.keys()) tables.removeIpSet(id);
  for (const cidr of world.remotes.keys()) tables.setRemote(cidr, null);
  tables.setHostAddresses([]);
}

/** Watches a commit from between its stores. */
class Watch {
  #old = new Map<string, string>();
  #packets: readonly Packet[] = [];
  #world: World | null = null;
  #stores = 0;
  #run = 0;
  #view: unknown = null;
  #changed = new Set<string>();
  lookups = 0;
  failure: string | null = null;

  begin(before: World, after: World, packets: readonly Packet[]): void {
    this.#packets = packets;
    this.#world = after;
    this.#stores = 0;
    this.#changed.clear();
    for (const [i, each] of packets.entries()) {
      for (const direction of DIRECTIONS) {
        this.#old.set(`${i} ${direction}`, wanted(judge(before, each, direction)));
        this.#old.set(`${i} ${direction} new`, wanted(judge(after, each, direction)));
      }
    }
  }

  onStore(tables: PolicyTables, view: unknown): void {
    if (this.#world === null || this.failure !== null) return;
    this.#stores++;
    this.#run = view === this.#view ? this.#run + 1 : 0;
    this.#view = view;
    // Pages and wide prefixes take thousands of alike stores in a row: look at some of them.
    if (this.#run > 100 && this.#run % 97 !== 0) return;
    for (const [i, each] of this.#packets.entries()) {
      const found = tables.lookup(each);
      for (const direction of DIRECTIONS) {
        const key = `${i} ${direction}`;
        const have = seen(tables, found[direction]);
        const old = this.#old.get(key);
        const next = this.#old.get(`${key} new`);
        if (have === next && have !== old) this.#changed.add(key);
        const fine = have === next || (have === old && !this.#changed.has(key));
        this.lookups++;
        if (fine) continue;
        const about = JSON.stringify({ each, direction, store: this.#stores });
        this.failure ??= `${about}: saw ${have}, old ${old}, new ${next}`;
      }
    }
  }
}

describe('classification', () => {
  test('the tables judge as the rules do, and forget everything that is removed', () => {
    let verdicts = 0;
    fc.assert(
      fc.property(
        foundation,
        fc.array(fc.array(anyChange, { minLength: 1, maxLength: 4 }), { maxLength: 5 }),
        fc.array(packet, { minLength: 60, maxLength: 60 }),
        (start, steps, packets) => {
          const tables = new PolicyTables(allocatePolicyMaps(SIZES));
          const empty = tables.statistics();
          const world = emptyWorld();
          for (const step of [start, ...steps]) {
            apply(step, world, tables);
            tables.reclaim(tables.commit().epoch);
            compare(tables, world, packets);
            verdicts += 2 * packets.length;
          }
          clear(tables, world);
          tables.reclaim(tables.commit().epoch);
          expect(tables.statistics()).toEqual(empty);
        },
      ),
      { numRuns: 80 * RUNS },
    );
    expect(verdicts).toBeGreaterThan(20_000);
  });

  test('the verdicts do not depend on how the state was reached', () => {
    fc.assert(
      fc.property(
        foundation,
        fc.array(anyChange, { maxLength: 12 }),
        fc.array(packet, { minLength: 60, maxLength: 60 }),
        (start, steps, packets) => {
          const walked = new PolicyTables(allocatePolicyMaps(SIZES));
          const world = emptyWorld();
          apply(start, world, walked);
          walked.commit();
          for (const step of steps) {
            apply([step], world, walked);
            walked.commit();
          }
          const fresh = walked.successor(allocatePolicyMaps(SIZES));
          fresh.commit();
          compare(walked, world, packets);
          compare(fresh, world, packets);
          for (const each of packets) {
            expect(fresh.lookup(each).ready).toBe(walked.lookup(each).ready);
          }
        },
      ),
      { numRuns: 40 * RUNS },
    );
  });

  const transitions = [
    { what: 'any rules', start: foundation, each: change, most: 5, runs: 30, packets: [] },
    {
      what: 'selector rules and many changes at once',
      ...{ start: plainFoundation, each: plainChange, most: 10, runs: 150, packets: PLAIN_PACKETS },
    },
  ];
  test.each(transitions)(
    'between any two stores of a commit a packet sees the old or the new verdict: $what',
    ({ start, each, most, runs, packets: fixed }) => {
      let lookups = 0;
      fc.assert(
        fc.property(
          start,
          fc.array(fc.array(each, { minLength: 1, maxLength: most }), {
            minLength: 1,
            maxLength: 6,
          }),
          fc.array(packet, { minLength: 16, maxLength: 16 }),
          fc.boolean(),
          (first, steps, random, reclaims) => {
            const packets = fixed.length > 0 ? fixed : random;
            const watch = new Watch();
            const tables: PolicyTables = new PolicyTables(allocatePolicyMaps(SIZES), {
              onStore: (view) => watch.onStore(tables, view),
            });
            const world = emptyWorld();
            for (const step of [first, ...steps]) {
              const before = copyWorld(world);
              apply(step, world, tables);
              watch.begin(before, world, packets);
              const { epoch } = tables.commit();
              if (reclaims) tables.reclaim(epoch);
              expect(watch.failure).toBeNull();
              compare(tables, world, packets);
            }
            lookups += watch.lookups;
          },
        ),
        { numRuns: runs * RUNS },
      );
      expect(lookups).toBeGreaterThan(20_000);
    },
  );
});
