/** Metrics of flows (spec/flows.md 14): every label has a bound, no address is one. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { RuleUse } from '../../observe/agent-protocol.js';
import type { FlowObservation } from './flow-observation.js';

export interface FlowMetricsOptions {
  readonly flows: FlowObservation;
  /** By policy, too. */
  readonly policies: boolean;
}

/** Series by policy; those with the fewest hits beyond are summed up as policy "other". */
const POLICY_SERIES_MAX = 1000;

export function addFlowMetrics(registry: Registry, { flows, policies }: FlowMetricsOptions): void {
  const registers = [registry];
  addCounter(registry, {
    name: 'margay_flows_processed_total',
    help: 'Flow events by verdict and type.',
    labelNames: ['verdict', 'type'],
    values: () =>
      [...flows.collector.processed].map(([kind, value]) => {
        const [verdict = '', type = ''] = kind.split(' ');
        return { labels: { verdict, type }, value };
      }),
  });
  addCounter(registry, {
    name: 'margay_flow_events_lost_total',
    help: 'Records the event ring had no room for, and drops kept quiet in favour of others.',
    labelNames: ['where'],
    values: () => [{ labels: { where: 'ring' }, value: flows.lost }],
  });
  new Gauge({
    ...{
      name: 'margay_flow_collector_live',
      help: 'Connections whose totals are known.',
      registers,
    },
    collect() {
      this.set(flows.collector.live);
    },
  });
  new Gauge({
    ...{ name: 'margay_flow_ring_entries', help: 'Events kept for "margay flows".', registers },
    collect() {
      this.set(flows.ring.length);
    },
  });
  if (!policies) return;
  for (const unit of ['packets', 'bytes'] as const) {
    addCounter(registry, {
      name: unit === 'packets' ? 'margay_policy_hits_total' : 'margay_policy_hit_bytes_total',
      help: `Decided by a policy, in ${unit}: first packets of connections and denied ones.`,
      labelNames: POLICY_LABELS,
      values: () => bounded(flows.ruleUse(), unit),
    });
  }
}

const POLICY_LABELS = ['tier', 'kind', 'namespace', 'policy', 'action'];

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Rules of one policy with one action are one series. */
export function bounded(rules: readonly RuleUse[], unit: 'packets' | 'bytes'): readonly Series[] {
  const sums = new Map<string, { labels: Record<string, string>; value: number }>();
  const add = (labels: Record<string, string>, value: number): void => {
    const key = JSON.stringify(labels);
    const sum = sums.get(key) ?? { labels, value: 0 };
    sum.value += value;
    sums.set(key, sum);
  };
  for (const { hit, ...count } of rules) {
    const { tier, kind, namespace, name: policy, action } = hit;
    add({ tier, kind, namespace, policy, action }, count[unit]);
  }
  const sorted = [...sums.values()].sort((a, b) => b.value - a.value);
  const rest = sorted.splice(POLICY_SERIES_MAX);
  if (rest.length === 0) return sorted;
  const other = { tier: '', kind: '', namespace: '', policy: 'other', action: '' };
  const value = rest.reduce((sum, series) => sum + series.value, 0);
  return [...sorted, { labels: other, value }];
}

/** A counter whose values are kept elsewhere. */
function addCounter(
  registry: Registry,
  {
    values,
    ...description
  }: {
    readonly name: string;
    readonly help: string;
    readonly labelNames: string[];
    readonly values: () => readonly Series[];
  },
): void {
  new Counter({
    ...{ ...description, registers: [registry] },
    collect() {
      this.reset();
      for (const { labels, value } of values()) this.inc(labels, value);
    },
  });
}
