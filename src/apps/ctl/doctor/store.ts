/** Does the datastore answer, how fast, and is anybody at home? Reads only. */
import { errorMessage } from '../../../base/error.js';
import type { Datastore } from '../../../datastore/datastore.js';
import type { Session } from '../session.js';
import { type Finding, fine } from './finding.js';

const READS = 20;
const SLOW_MS = 50;

async function latency(store: Datastore): Promise<Finding> {
  const times: number[] = [];
  for (let i = 0; i < READS; i++) {
    const start = performance.now();
    await store.list({ kind: 'ClusterInformation' });
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const median = times[READS / 2] ?? 0;
  const found = `${store.type}: a read takes ${median.toFixed(2)} ms, at most ${times.at(-1)?.toFixed(2)} ms`;
  if (median < SLOW_MS) return fine('datastore', found);
  return {
    check: 'datastore',
    level: 'WARN',
    found,
    fix: 'changes will take as long to reach hosts: look at the disk and the way to the datastore',
  };
}

async function cluster(store: Datastore): Promise<Finding> {
  const { items } = await store.list({ kind: 'ClusterInformation' });
  const spec = (items[0]?.value.spec ?? {}) as { readonly datastoreReady?: boolean };
  if (items.length === 0) return fine('cluster', 'new: the first agent sets it up');
  if (spec.datastoreReady !== false) return fine('cluster', 'ready');
  return {
    check: 'cluster',
    level: 'FAIL',
    found: 'locked (datastoreReady is false)',
    fix: 'agents do not act on changes: finish the migration, then margay datastore unlock',
  };
}

async function agents(store: Datastore): Promise<Finding> {
  const live = await store.listHostStatus();
  const nodes = await store.list({ kind: 'Node' });
  const troubled = live.filter(({ errors }) => errors.length > 0).map(({ host }) => host);
  const names = new Set(live.map(({ host }) => host));
  const dead = nodes.items.map(({ key }) => key.name).filter((name) => !names.has(name));
  const found = `${live.length} live, ${dead.length} silent, ${troubled.length} with errors`;
  if (dead.length + troubled.length === 0) return fine('agents', found);
  return {
    check: 'agents',
    level: 'WARN',
    found,
    fix: `margay status says more about ${[...troubled, ...dead].slice(0, 5).join(', ')}; margay delete node NAME for hosts that are gone`,
  };
}

export async function store(session: Session): Promise<readonly Finding[]> {
  try {
    const opened = await session.store();
    return [await latency(opened), await cluster(opened), await agents(opened)];
  } catch (error) {
    session.signal.throwIfAborted();
    return [
      {
        check: 'datastore',
        level: 'FAIL',
        found: errorMessage(error),
        fix: 'margay --log-level info get nodes shows which connection is used, and why',
      },
    ];
  }
}
