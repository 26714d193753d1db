/** The changes whose cost is asked of every population, whatever is told of them. */
import type { ResourceUpdate } from '../../src/model/update.js';
import {
  absent,
  type ClusterPopulation,
  type EndpointChoice,
  spareAddress,
  workload,
} from './cluster.js';
import { type Cost, costEach } from './costs.js';

export interface ChangeCosts {
  /** One remote endpoint whose label set is known. */
  readonly known: Cost;
  /** One remote endpoint whose label set is not. */
  readonly unknown: Cost;
  /** The ports of one rule of a policy that selects every endpoint. */
  readonly ruleEdit: Cost;
  /** One of many remote endpoints that come and go, told in batches. */
  readonly sustained: Cost;
}

/** Takes note of all of them, then does what makes them effective. */
export type Feed = (updates: readonly ResourceUpdate[]) => void;

export interface ChangeCounts {
  readonly rounds: number;
  /** Of each round: */
  readonly known: number;
  readonly unknown: number;
  readonly edits: number;
  readonly sustained: number;
}

/** What comes within 50 ms at the rate that is wanted. */
const BATCH = 1000;
/** As many as the smallest population has. */
const KNOWN_LABEL_SETS = 2000;
/** Above the indexes of every population, and a whole number of its cycles of label sets. */
const FRESH = 1023 * 40 * 20;

export function measureChanges(
  population: ClusterPopulation,
  counts: ChangeCounts,
  feed: Feed,
): ChangeCosts {
  const known = (k: number): EndpointChoice => ({
    index: FRESH + (k % KNOWN_LABEL_SETS),
    addressIndex: spareAddress(k),
  });
  const told = { feed, rounds: counts.rounds };
  const owned = (k: number): EndpointChoice => ({ ...known(k), uniqueLabel: `owner-${k}` });
  return {
    known: comings(told, counts.known, known),
    unknown: comings(told, counts.unknown, owned),
    ruleEdit: ruleEdits(told, counts.edits, population),
    sustained: sustained(told, counts.sustained, known),
  };
}

interface Told {
  readonly feed: Feed;
  readonly rounds: number;
}

/** Each is told by itself; they go again unmeasured. */
function comings(
  { feed, rounds }: Told,
  count: number,
  choice: (k: number) => EndpointChoice,
): Cost {
  return costEach({
    ...{ rounds, pieces: count },
    make: (round) => Array.from({ length: count }, (_, k) => workload(choice(round * count + k))),
    run: (updates) => {
      for (const update of updates) feed([update]);
    },
    undo: (updates) => feed(updates.map(absent)),
  });
}

function ruleEdits({ feed, rounds }: Told, count: number, population: ClusterPopulation): Cost {
  return costEach({
    ...{ rounds, pieces: count },
    make: (round) =>
      Array.from({ length: count }, (_, k) => population.policy(3, 1 + round * count + k)),
    run: (updates) => {
      for (const update of updates) feed([update]);
    },
  });
}

/** Batches in turn bring endpoints and take them away. */
function sustained(
  { feed, rounds }: Told,
  count: number,
  choice: (k: number) => EndpointChoice,
): Cost {
  return costEach({
    ...{ rounds, pieces: count },
    make: () => {
      const coming = Array.from({ length: BATCH }, (_, k) => workload(choice(k)));
      const going = coming.map(absent);
      return Array.from({ length: count / BATCH }, (_, n) => (n % 2 === 0 ? coming : going));
    },
    run: (batches) => {
      for (const batch of batches) feed(batch);
    },
  });
}
