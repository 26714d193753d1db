/** Costs of the calculation alone: the process should hold nothing else. */
import { CalcGraph } from '../../src/calc/graph.js';
import { type ChangeCosts, type ChangeCounts, measureChanges } from './changes.js';
import { ClusterPopulation, type ClusterShape, HOSTNAME } from './cluster.js';
import { type Cost, costOf, megabytes, peakMb, residentMb } from './costs.js';

export interface GraphCost {
  /** Making the objects, which is a datastore client's work. */
  readonly making: Cost;
  /** From the first object to the last update of the first flush, making included. */
  readonly snapshot: Cost;
  readonly residentMb: number;
  readonly heapMb: number;
  readonly peakMb: number;
  /** Of the first flush. */
  readonly updates: number;
  readonly changes: ChangeCosts;
}

const COUNTS: ChangeCounts = {
  ...{ rounds: 9, known: 400, unknown: 100, edits: 20, sustained: 20_000 },
};

export function measureGraph(shape: ClusterShape): GraphCost {
  const population = new ClusterPopulation(shape);
  const making = costOf(() => {
    for (const update of population.snapshot()) JSON.stringify(update.key);
  });
  let updates = 0;
  const graph = new CalcGraph({ hostname: HOSTNAME, onUpdate: () => updates++ });
  const snapshot = costOf(() => {
    for (const update of population.snapshot()) graph.onResource(update);
    graph.onInSync();
    graph.flush();
  });
  const [peak, first] = [peakMb(), updates];
  const resident = residentMb();
  const heapMb = megabytes(process.memoryUsage().heapUsed);
  const changes = measureChanges(population, COUNTS, (batch) => {
    for (const update of batch) graph.onResource(update);
    graph.flush();
  });
  return { making, snapshot, residentMb: resident, heapMb, peakMb: peak, updates: first, changes };
}
