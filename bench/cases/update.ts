/**
 * From writing a policy to the kernel of one host enforcing it: the writer and the agent are separate processes over
 * one embedded store, as with `margay apply --wait`, without the start of the command itself.
 */
import { ResourceClient } from '../../src/datastore/client.js';
import { openDatastore } from '../../src/datastore/open.js';
import { waitProgrammed } from '../../src/datastore/programmed.js';
import type { Resource } from '../../src/model/update.js';
import { Lab, type LabPlan, workloadManifest } from '../../test/lab/lab.js';
import { type CaseResult, type Figure, isQuick, printResult } from '../case.js';
import { bootstrapMedian, median, quantile } from '../statistics.js';

const FLIPS = isQuick() ? 60 : 200;
const WARM_UP = 10;
const WAIT_MS = 10_000;
const LOADED = [10, 1000] as const;

const workload = (name: string, last: number): LabPlan['workloads'][number] => ({
  ...{ name, host: 'h1', namespace: 'default', address: `10.65.1.${last}` },
  ...{ labels: { app: name }, profiles: [] },
});
const PLAN: LabPlan = {
  hosts: ['h1'],
  workloads: [workload('client', 1), workload('server', 2)],
};

function policy(name: string, action: 'Allow' | 'Deny', rule: object): Resource {
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default' },
    spec: { selector: 'has(app)', ingress: [{ action, protocol: 'TCP', ...rule }] },
  };
}

/** All of them apply to both workloads. */
const loadedPolicy = (i: number): Resource =>
  policy(`loaded-${i}`, 'Allow', {
    source: { selector: `app == 'other-${i}'` },
    destination: { ports: [1000 + (i % 97)] },
  });

const flip = (i: number): Resource =>
  policy('flip', i % 2 === 0 ? 'Allow' : 'Deny', {
    source: { selector: "app == 'client'" },
    destination: { ports: [80] },
  });

interface Writer extends AsyncDisposable {
  /** Milliseconds from the call until the agent has said that its kernel has it. */
  apply(resource: Resource): Promise<number>;
  /** Writes without waiting. */
  load(resource: Resource): Promise<void>;
}

async function openWriter(path: string): Promise<Writer> {
  const store = await openDatastore({ type: 'embedded', path });
  const client = new ResourceClient(store);
  const signal = new AbortController().signal;
  return {
    apply: async (resource) => {
      const started = performance.now();
      const { revision } = await client.apply(resource);
      const { hosts, lagging } = await waitProgrammed(store, {
        ...{ revision, timeoutMs: WAIT_MS, signal },
      });
      if (hosts !== 1 || lagging.length > 0) throw new Error(`${hosts} hosts, some of them late`);
      return performance.now() - started;
    },
    load: async (resource) => {
      await client.apply(resource);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function flips(loaded: number): Promise<readonly number[]> {
  process.stderr.write(`${loaded} policies\n`);
  await using lab = await Lab.build(PLAN);
  await lab.startAgents();
  for (const entry of lab.workloads.values())
    await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
  await using writer = await openWriter(lab.storePath);
  for (let i = 0; i < loaded; i++) await writer.load(loadedPolicy(i));
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + FLIPS; i++) {
    const ms = await writer.apply(flip(i));
    if (i >= WARM_UP) times.push(ms);
  }
  // The last flip is not only reported but enforced.
  const outcome = await lab.reaches('client', 'server', 'tcp', 80);
  const isOpen = (WARM_UP + FLIPS - 1) % 2 === 0;
  if ((outcome === 'open') !== isOpen) throw new Error(`the last flip is not in force: ${outcome}`);
  return times;
}

function figures(loaded: number, times: readonly number[]): readonly Figure[] {
  const middle = bootstrapMedian(times);
  const name = `${loaded} policies loaded`;
  return [
    { name: `p50, ${name}`, value: median(times), unit: 'ms', low: middle.low, high: middle.high },
    { name: `p99, ${name}`, value: quantile(times, 0.99), unit: 'ms' },
  ];
}

async function update(): Promise<CaseResult> {
  const measured: Figure[] = [];
  for (const loaded of LOADED) measured.push(...figures(loaded, await flips(loaded)));
  return {
    case: 'update',
    title: 'A policy edit, from the write to the kernel',
    figures: measured,
  };
}

printResult(await update());
process.exit(0);
