/**
 * Datastores at the size of a large cluster: from opening one until an agent's syncer has the whole, validated picture,
 * and from the call that changes one policy until the calculation has said what that means here. Writer and agent have
 * a connection each; etcd is a real server on loopback with its files on this machine's disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CalcGraph } from '../../src/calc/graph.js';
import type { Datastore } from '../../src/datastore/datastore.js';
import { openDatastore } from '../../src/datastore/open.js';
import { type SyncBatch, sync } from '../../src/datastore/sync/syncer.js';
import { formatKey, type ResourceKey, type ResourceUpdate } from '../../src/model/update.js';
import { EtcdServer } from '../../test/support/etcd-server.js';
import { type CaseResult, type Figure, isQuick, printResult } from '../case.js';
import { ClusterPopulation, HOSTNAME } from '../populations/cluster.js';
import { median, quantile } from '../statistics.js';

const ENDPOINTS = isQuick() ? 3_000 : 100_000;
const POLICIES = isQuick() ? 300 : 10_000;
const HOSTS = isQuick() ? 300 : 5_000;
const CHANGES = isQuick() ? 100 : 500;
const LANES = 128;
const POPULATION = new ClusterPopulation({ endpoints: ENDPOINTS, selectors: 1000 });

/** The population, with as many policies and hosts as wanted. */
function* objects(): Generator<ResourceUpdate> {
  const left = new Map([
    ['GlobalNetworkPolicy', POLICIES],
    ['Node', HOSTS],
  ]);
  for (const update of POPULATION.snapshot()) {
    const { kind } = update.key;
    const rest = left.get(kind) ?? 1;
    if (left.has(kind)) left.set(kind, rest - 1);
    if (rest > 0) yield update;
  }
}

/** @returns how many objects */
async function fill(store: Datastore): Promise<number> {
  const queue = objects();
  let count = 0;
  const lane = async (): Promise<void> => {
    for (const { key, value } of queue) {
      if (value === null) continue;
      await store.create(key, value);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return count;
}

/** What an agent does with batches, but for the kernel. */
class Follower {
  readonly #graph: CalcGraph;
  readonly #batches: AsyncIterator<SyncBatch>;
  objects = 0;

  constructor(store: Datastore, signal: AbortSignal) {
    this.#graph = new CalcGraph({ hostname: HOSTNAME, onUpdate: () => undefined });
    this.#batches = sync(store, { signal });
  }

  async next(): Promise<SyncBatch> {
    const { value } = await this.#batches.next();
    return value;
  }

  calculate(batch: SyncBatch): void {
    for (const update of batch.updates) this.#graph.onResource(update);
    this.objects += batch.updates.length;
  }

  inSync(): void {
    this.#graph.onInSync();
    this.#graph.flush();
  }

  flush(): void {
    this.#graph.flush();
  }
}

interface Measured {
  readonly count: number;
  readonly fillMs: number;
  readonly syncMs: number;
  /** Of the processor, in this process: other work on the machine does not count. */
  readonly syncCpuMs: number;
  readonly changesMs: readonly number[];
}

async function measure(open: () => Promise<Datastore>): Promise<Measured> {
  await using writer = await open();
  const startedMs = performance.now();
  const count = await fill(writer);
  const fillMs = performance.now() - startedMs;
  process.stderr.write(`${count} objects written in ${(fillMs / 1000).toFixed(1)} s\n`);

  const stop = new AbortController();
  const openedMs = performance.now();
  const cpu = process.cpuUsage();
  await using store = await open();
  const follower = new Follower(store, stop.signal);
  const batches: SyncBatch[] = [];
  do batches.push(await follower.next());
  while (batches.at(-1)?.inSync !== true);
  const syncMs = performance.now() - openedMs;
  const { user, system } = process.cpuUsage(cpu);
  for (const batch of batches.splice(0)) follower.calculate(batch);
  follower.inSync();
  if (follower.objects !== count) throw new Error(`${follower.objects} of ${count} objects came`);

  const changesMs: number[] = [];
  for (let i = 0; i < CHANGES; i++) changesMs.push(await change(writer, follower, i));
  stop.abort(new Error('measured'));
  await follower.next().catch(() => undefined);
  return { count, fillMs, syncMs, syncCpuMs: (user + system) / 1000, changesMs };
}

/** From the call to the end of the calculation, in milliseconds. */
async function change(writer: Datastore, follower: Follower, i: number): Promise<number> {
  const { key, value } = POPULATION.policy(20 + (i % 200), i + 1);
  if (value === null) throw new Error(`no ${formatKey(key)}`);
  const current = await writer.get(key);
  const startedMs = performance.now();
  const written = writer.update(key, value, current.revision);
  for (;;) {
    const batch = await follower.next();
    follower.calculate(batch);
    follower.flush();
    if (batch.updates.some((update) => isSame(update.key, key))) break;
  }
  const elapsedMs = performance.now() - startedMs;
  await written;
  return elapsedMs;
}

const isSame = (a: ResourceKey, b: ResourceKey): boolean => a.kind === b.kind && a.name === b.name;

function figures(name: string, target: string, measured: Measured): readonly Figure[] {
  const { count, fillMs, syncMs, syncCpuMs, changesMs } = measured;
  const cpu = `processor ${(syncCpuMs / 1000).toFixed(2)} s`;
  const thousands = `${Math.round(count / 1000)}k objects`;
  return [
    {
      ...{ name: `${name}: snapshot of ${thousands} into a syncer`, value: syncMs / 1000 },
      ...{ unit: 's', note: isQuick() ? cpu : `${cpu}; target ${target}` },
    },
    {
      ...{ name: `${name}: a change to the calculation, p50`, value: median(changesMs) },
      unit: 'ms',
    },
    {
      ...{ name: `${name}: a change to the calculation, p99`, value: quantile(changesMs, 0.99) },
      ...{ unit: 'ms', note: 'target 10 ms' },
    },
    {
      ...{ name: `${name}: creates, ${LANES} in flight`, value: count / (fillMs / 1000) },
      unit: '1/s',
    },
  ];
}

async function run(): Promise<CaseResult> {
  const path = mkdtempSync(join(tmpdir(), 'margay-bench-store-'));
  const all: Figure[] = [];
  try {
    all.push(
      ...figures('embedded', '4 s', await measure(() => openDatastore({ type: 'embedded', path }))),
    );
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
  await using server = await EtcdServer.start();
  const etcd = { endpoints: [server.url] };
  all.push(
    ...figures('etcd', '10 s', await measure(() => openDatastore({ type: 'etcdv3', path, etcd }))),
  );
  return { case: 'datastore', title: 'Datastores at the size of a large cluster', figures: all };
}

printResult(await run());
process.exit(0);
