/** Costs of the tables of the BPF programs, given what the calculation of a population says; memory is plain. */
import { CalcGraph } from '../../src/calc/graph.js';
import {
  allocatePolicyMaps,
  type PolicyMapSizes,
} from '../../src/dataplane/ebpf/tables/policy-maps.js';
import {
  type CommitResult,
  PolicyTables,
  type TableStatistics,
} from '../../src/dataplane/ebpf/tables/policy-tables.js';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { type ChangeCosts, type ChangeCounts, measureChanges } from './changes.js';
import { ClusterPopulation, type ClusterShape, HOSTNAME } from './cluster.js';
import { type Cost, costOf } from './costs.js';

export interface TablesCost {
  /** The setters and the commit after them, without the calculation. */
  readonly first: Cost;
  readonly firstStores: number;
  readonly statistics: TableStatistics;
  /** Of the tables and the calculation together. */
  readonly changes: ChangeCosts;
  /** Stores of the last commit for one remote endpoint, and of the last rule edit. */
  readonly stores: { readonly known: number; readonly ruleEdit: number };
}

const SIZES: PolicyMapSizes = {
  ...{
    nodes: 4096,
    nodes6: 4096,
    infos: 262_144,
    endpoints: 2048,
    nexthops: 8192,
    policySets: 4096,
  },
  arenaLines: 1_048_576,
};
const COUNTS: ChangeCounts = {
  ...{ rounds: 5, known: 20, unknown: 10, edits: 1, sustained: 4000 },
};
const UNDERLAY_IFINDEX = 2;

export function measureTables(shape: ClusterShape): TablesCost {
  const population = new ClusterPopulation(shape);
  let pending: DesiredUpdate[] = [];
  const graph = new CalcGraph({ hostname: HOSTNAME, onUpdate: (update) => pending.push(update) });
  for (const update of population.snapshot()) graph.onResource(update);
  graph.onInSync();
  graph.flush();
  const tables = new PolicyTables(allocatePolicyMaps(SIZES));
  const commit = (): CommitResult => {
    for (const update of pending) tell(tables, update);
    pending = [];
    const result = tables.commit();
    if (result.errors.length > 0) throw new Error(JSON.stringify(result.errors[0]));
    tables.reclaim(result.epoch);
    return result;
  };
  let last: CommitResult | undefined;
  const first = costOf(() => {
    last = commit();
  });
  const firstStores = last?.stores ?? 0;
  const statistics = tables.statistics();
  const storesOf = { known: 0, ruleEdit: 0 };
  const changes = measureChanges(population, COUNTS, (batch) => {
    for (const update of batch) graph.onResource(update);
    graph.flush();
    const { stores } = commit();
    if (batch.length > 1 || batch[0]?.value === null) return;
    if (batch[0]?.key.kind === 'WorkloadEndpoint') storesOf.known = stores;
    else storesOf.ruleEdit = stores;
  });
  return { first, firstStores, statistics, changes, stores: storesOf };
}

function tell(tables: PolicyTables, update: DesiredUpdate): void {
  switch (update.type) {
    case 'ip-set':
      tables.setIpSet(update.id, update.kind, update.members);
      break;
    case 'ip-set-delta':
      tables.applyIpSetDelta(update.id, update.added, update.removed);
      break;
    case 'ip-set-remove':
      tables.removeIpSet(update.id);
      break;
    case 'policy':
      tables.setPolicy(update.id, update.policy);
      break;
    case 'policy-remove':
      tables.removePolicy(update.id);
      break;
    case 'profile':
      tables.setProfile(update.id, update.profile);
      break;
    case 'profile-remove':
      tables.removeProfile(update.id);
      break;
    case 'workload-endpoint':
      tables.setEndpoint(update.id, { ...update.endpoint, ifindex: 7, ready: true });
      break;
    case 'workload-endpoint-remove':
      tables.removeEndpoint(update.id);
      break;
    case 'route':
      tables.setRemote(update.cidr, {
        nextHop: { ifindex: UNDERLAY_IFINDEX, gateway: update.route.nextHop },
      });
      break;
    case 'route-remove':
      tables.setRemote(update.cidr, null);
      break;
    case 'host-endpoint':
    case 'host-endpoint-remove':
    case 'host':
    case 'host-remove':
    case 'local-host':
    case 'local-host-remove':
    case 'pool':
    case 'pool-remove':
    case 'local-block':
    case 'local-block-remove':
    case 'block-route':
    case 'block-route-remove':
    case 'in-sync':
      break;
    default:
      update satisfies never;
  }
}
