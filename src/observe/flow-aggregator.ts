/**
 * Flows: what connections with one key did in one interval (spec/flows.md 6). Source ports, addresses and names of
 * replicas are no part of the key, so that their number follows the cluster's structure and not its traffic.
 */
import type { Decision } from '../model/decision.js';
import type { EndpointName, EndpointNames } from './endpoint-names.js';
import type { FlowEvent } from './flow-event.js';
import type { FlowProgress } from './flow-collector.js';
import { carriesPorts, protocolName } from './flow-packet.js';
import { formatHit, hitsOf, type RuleOwners } from './policy-attribution.js';

/** Field names are Goldmane's. */
export interface FlowKey {
  readonly source_name: string;
  readonly source_namespace: string;
  readonly source_type: string;
  readonly dest_name: string;
  readonly dest_namespace: string;
  readonly dest_type: string;
  /** 0 for protocols without ports. */
  readonly dest_port: number;
  readonly protocol: string;
  readonly reporter: 'Src' | 'Dst';
  readonly action: 'Allow' | 'Deny';
  readonly policies: { readonly enforced: readonly string[] };
}

export interface Flow extends FlowKey {
  /** RFC 3339. */
  readonly start_time: string;
  readonly end_time: string;
  /** Common to all contributing endpoints, 'k=v', sorted. */
  readonly source_labels: readonly string[];
  readonly dest_labels: readonly string[];
  /** As the reporting endpoint sees it: `in` arrives there. */
  readonly packets_in: number;
  readonly packets_out: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly num_connections_started: number;
  readonly num_connections_completed: number;
  readonly num_connections_live: number;
  readonly node: string;
  /** Records were lost in this interval. */
  readonly incomplete: boolean;
}

interface Bucket {
  readonly id: string;
  readonly key: FlowKey;
  sourceLabels: ReadonlySet<string>;
  destLabels: ReadonlySet<string>;
  packetsIn: number;
  packetsOut: number;
  bytesIn: number;
  bytesOut: number;
  started: number;
  completed: number;
}

export interface FlowAggregatorOptions {
  readonly node: string;
  readonly names: EndpointNames;
  readonly rules: RuleOwners;
}

/** Keys of one interval; what does not fit is counted under a key with the names '*'. */
const KEYS_MAX = 200_000;

export class FlowAggregator {
  readonly #options: FlowAggregatorOptions;
  #buckets = new Map<string, Bucket>();
  /** Connections that have begun and not ended, by key: outlives the interval. */
  readonly #live = new Map<string, number>();

  constructor(options: FlowAggregatorOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** A step of a connection that policy let through: one flow for each end that this host asked. */
  onProgress(progress: FlowProgress): void {
    const { tuple, decisions, ended } = progress.sighting;
    const { names, node } = this.#options;
    const source = names.find(tuple.source, { node });
    const dest = names.find(tuple.destination, { node, namespace: source.namespace });
    for (const reporter of ['Src', 'Dst'] as const) {
      const asked = reporter === 'Src' ? decisions.egress : decisions.ingress;
      if (asked === null) continue;
      const bucket = this.#bucket({
        ...{ source, dest, reporter, action: 'Allow' as const },
        protocol: protocolName(tuple.protocol),
        port: carriesPorts(tuple.protocol) ? tuple.destinationPort : 0,
        enforced: this.#trace(asked),
      });
      const isSource = reporter === 'Src';
      bucket.packetsOut += isSource ? progress.packets : progress.packetsBack;
      bucket.packetsIn += isSource ? progress.packetsBack : progress.packets;
      bucket.bytesOut += isSource ? progress.bytes : progress.bytesBack;
      bucket.bytesIn += isSource ? progress.bytesBack : progress.bytes;
      if (progress.started) bucket.started++;
      if (ended) bucket.completed++;
      const live = (this.#live.get(bucket.id) ?? 0) + (progress.started ? 1 : 0) - (ended ? 1 : 0);
      if (live > 0) this.#live.set(bucket.id, live);
      else this.#live.delete(bucket.id);
    }
  }

  /** A packet that policy dropped; those of connections come by onProgress. */
  onEvent(event: FlowEvent, bytes: number): void {
    if (event.verdict === 'Allow' || event.type !== 'verdict') return;
    const bucket = this.#bucket({
      ...{ source: event.src.endpoint, dest: event.dst.endpoint, reporter: event.reporter },
      ...{ action: 'Deny', protocol: event.proto, port: event.dst.port },
      enforced: event.policies.enforced.map(formatHit),
    });
    const packets = 1 + event.repeats;
    if (event.reporter === 'Src') {
      bucket.packetsOut += packets;
      bucket.bytesOut += packets * bytes;
    } else {
      bucket.packetsIn += packets;
      bucket.bytesIn += packets * bytes;
    }
  }

  #trace(decisions: readonly Decision[]): readonly string[] {
    return hitsOf(decisions, true, this.#options.rules).map(formatHit);
  }

  #bucket(of: {
    readonly source: EndpointName;
    readonly dest: EndpointName;
    readonly reporter: 'Src' | 'Dst';
    readonly action: 'Allow' | 'Deny';
    readonly protocol: string;
    readonly port: number;
    readonly enforced: readonly string[];
  }): Bucket {
    const { source, dest, reporter, action, protocol, port: dest_port } = of;
    const full: FlowKey = {
      ...{ source_name: source.aggregatedName, source_namespace: source.namespace },
      ...{ source_type: source.type, dest_name: dest.aggregatedName },
      ...{ dest_namespace: dest.namespace, dest_type: dest.type, dest_port, protocol },
      ...{ reporter, action, policies: { enforced: of.enforced } },
    };
    let [key, id] = [full, JSON.stringify(full)];
    if (!this.#buckets.has(id) && this.#buckets.size >= KEYS_MAX) {
      key = { ...full, source_name: '*', dest_name: '*', dest_port: 0 };
      id = JSON.stringify(key);
    }
    const found = this.#buckets.get(id);
    if (found !== undefined) {
      found.sourceLabels = common(found.sourceLabels, source);
      found.destLabels = common(found.destLabels, dest);
      return found;
    }
    const bucket: Bucket = {
      ...{ id, key, sourceLabels: labelsOf(source), destLabels: labelsOf(dest) },
      ...{
        packetsIn: 0,
        packetsOut: 0,
        bytesIn: 0,
        bytesOut: 0,
        started: 0,
        completed: 0,
        live: 0,
      },
    };
    this.#buckets.set(id, bucket);
    return bucket;
  }

  /** The interval is over: its flows, and a new one begins. */
  take(interval: {
    readonly startMs: number;
    readonly endMs: number;
    readonly incomplete: boolean;
  }): readonly Flow[] {
    const buckets = this.#buckets;
    this.#buckets = new Map();
    return [...buckets.values()].map((bucket) => ({
      start_time: new Date(interval.startMs).toISOString(),
      end_time: new Date(interval.endMs).toISOString(),
      ...bucket.key,
      source_labels: [...bucket.sourceLabels].sort(),
      dest_labels: [...bucket.destLabels].sort(),
      ...{ packets_in: bucket.packetsIn, packets_out: bucket.packetsOut },
      ...{ bytes_in: bucket.bytesIn, bytes_out: bucket.bytesOut },
      num_connections_started: bucket.started,
      num_connections_completed: bucket.completed,
      num_connections_live: this.#live.get(bucket.id) ?? 0,
      node: this.#options.node,
      incomplete: interval.incomplete,
    }));
  }
}

const labelsOf = ({ labels }: EndpointName): ReadonlySet<string> =>
  new Set(Object.entries(labels).map(([name, value]) => `${name}=${value}`));

function common(labels: ReadonlySet<string>, endpoint: EndpointName): ReadonlySet<string> {
  if (labels.size === 0) return labels;
  const own = labelsOf(endpoint);
  const left = [...labels].filter((label) => own.has(label));
  return left.length === labels.size ? labels : new Set(left);
}
