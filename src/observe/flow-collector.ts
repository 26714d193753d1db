/**
 * Makes of what a dataplane saw: events for the ring and its followers, amounts for rules and aggregates. Keeps the
 * last totals of live connections, since the dataplane tells totals and everybody else wants differences.
 */
import type { ConnectionSighting, FlowSighting, FlowTuple } from '../model/flow.js';
import type { FlowEvent, FlowEventMaker } from './flow-event.js';
import type { FlowRing } from './flow-ring.js';
import type { RuleStatistics } from './rule-statistics.js';

/** What a connection did since it was last told of. */
export interface FlowProgress {
  readonly sighting: ConnectionSighting;
  readonly started: boolean;
  readonly packets: number;
  readonly bytes: number;
  readonly packetsBack: number;
  readonly bytesBack: number;
}

export interface FlowCollectorOptions {
  readonly maker: FlowEventMaker;
  readonly ring: FlowRing;
  readonly statistics: RuleStatistics;
  /** Also told of every event and of every step of a connection. */
  readonly onEvent?: (event: FlowEvent) => void;
  readonly onProgress?: (progress: FlowProgress) => void;
}

type Totals = Pick<ConnectionSighting, 'packets' | 'bytes' | 'packetsBack' | 'bytesBack'>;

/** Connections whose totals are kept; what is beyond counts when it ends. */
const LIVE_MAX = 131_072;
/** Connections announced at their start whose first sighting has not come. */
const ANNOUNCED_MAX = 65_536;
const NOTHING: Totals = { packets: 0, bytes: 0, packetsBack: 0, bytesBack: 0 };

export class FlowCollector {
  readonly #options: FlowCollectorOptions;
  readonly #live = new Map<string, Totals>();
  readonly #announced = new Set<string>();
  /** By verdict and type, for metrics. */
  readonly processed = new Map<string, number>();

  constructor(options: FlowCollectorOptions) {
    this.#options = options;
  }

  get live(): number {
    return this.#live.size;
  }

  onSighting(sighting: FlowSighting): void {
    if (sighting.type === 'connection') this.#onConnection(sighting);
    else {
      if (sighting.allow && !sighting.log) this.#announce(keyOf(sighting.tuple));
      this.#emit(sighting);
    }
  }

  #announce(key: string): void {
    const [oldest] = this.#announced;
    if (this.#announced.size >= ANNOUNCED_MAX && oldest !== undefined)
      this.#announced.delete(oldest);
    this.#announced.add(key);
  }

  #onConnection(sighting: ConnectionSighting): void {
    const key = keyOf(sighting.tuple);
    const before = this.#live.get(key);
    const wasAnnounced = this.#announced.delete(key);
    // Fewer than before: another connection with the same addresses and ports.
    const isNew = before === undefined || sighting.packets < before.packets;
    if (isNew && !wasAnnounced && !sighting.ended) this.#emit(sighting);
    this.#progress(sighting, isNew ? NOTHING : before);
    if (sighting.ended) {
      this.#live.delete(key);
      this.#emit(sighting);
    } else if (before !== undefined || this.#live.size < LIVE_MAX) {
      const { packets, bytes, packetsBack, bytesBack } = sighting;
      this.#live.set(key, { packets, bytes, packetsBack, bytesBack });
    }
  }

  #progress(sighting: ConnectionSighting, before: Totals): void {
    const { statistics, onProgress } = this.#options;
    const progress: FlowProgress = {
      sighting,
      started: before === NOTHING,
      packets: sighting.packets - before.packets,
      bytes: sighting.bytes - before.bytes,
      packetsBack: sighting.packetsBack - before.packetsBack,
      bytesBack: sighting.bytesBack - before.bytesBack,
    };
    const packets = progress.packets + progress.packetsBack;
    const bytes = progress.bytes + progress.bytesBack;
    for (const decisions of [sighting.decisions.egress, sighting.decisions.ingress]) {
      if (decisions !== null) statistics.addCarried(decisions, packets, bytes);
    }
    onProgress?.(progress);
  }

  #emit(sighting: FlowSighting): void {
    const { maker, ring, onEvent } = this.#options;
    const event = maker.make(sighting);
    const kind = `${event.verdict} ${event.type}`;
    this.processed.set(kind, (this.processed.get(kind) ?? 0) + 1);
    ring.add(event);
    onEvent?.(event);
  }
}

function keyOf({ source, destination, protocol, sourcePort, destinationPort }: FlowTuple): string {
  return `${protocol} ${source} ${sourcePort} ${destination} ${destinationPort}`;
}
