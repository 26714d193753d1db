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

const ROUNDS = 9;
const KNOWN = 400;
const UNKNOWN = 100;
const EDITS = 5;
const SUSTAINED = 20_000;
/** What comes within 50 ms at the rate that is wanted. */
const BATCH = 1000;
/** As many as the smallest population has. */
const KNOWN_LABEL_SETS = 2000;
/** Above the indexes of every population, and a whole number of its cycles of label sets. */
const FRESH = 1023 * 40 * 20;

export function measureChanges(population: ClusterPopulation, feed: Feed): ChangeCosts {
  const known = (k: number): EndpointChoice => ({
    index: FRESH + (k % KNOWN_LABEL_SETS),
    addressIndex: spareAddress(k),
  });
  return {
    known: comings(feed, KNOWN, known),
    unknown: comings(feed, UNKNOWN, (k) => ({ ...known(k), uniqueLabel: `owner-${k}` })),
    ruleEdit: ruleEdits(population, feed),
    sustained: sustained(feed, known),
  };
}

/** Each is told by itself; they go again unmeasured. */
function comings(feed: Feed, count: number, choice: (k: number) => EndpointChoice): Cost {
  return costEach({
    ...{ rounds: ROUNDS, pieces: count },
    make: (round) => Array.from({ length: count }, (_, k) => workload(choice(round * count + k))),
    run: (updates) => {
      for (const update of updates) feed([update]);
    },
    undo: (updates) => feed(updates.map(absent)),
  });
}

function ruleEdits(population: ClusterPopulation, feed: Feed): Cost {
  return costEach({
    ...{ rounds: ROUNDS, pieces: EDITS },
    make: (round) =>
      Array.from({ length: EDITS }, (_, k) => population.policy(3, 1 + round * EDITS + k)),
    run: (updates) => {
      for (const update of updates) feed([update]);
    },
  });
}

/** Batches in turn bring endpoints and take them away. */
function sustained(feed: Feed, choice: (k: number) => EndpointChoice): Cost {
  return costEach({
    ...{ rounds: 3, pieces: SUSTAINED },
    make: () => {
      const coming = Array.from({ length: BATCH }, (_, k) => workload(choice(k)));
      const going = coming.map(absent);
      return Array.from({ length: SUSTAINED / BATCH }, (_, n) => (n % 2 === 0 ? coming : going));
    },
    run: (batches) => {
      for (const batch of batches) feed(batch);
    },
  });
}
