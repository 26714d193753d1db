/** What the eBPF programs let others see: event ring, hit counters, and the tables themselves. */
import type { BpfMap } from '../../kernel/addon.js';
import type { KernelVerdict, SideVerdict } from '../../model/decision.js';
import type { FlowSighting, FlowTuple, RuleHits } from '../../model/flow.js';
import type { PacketObserver } from '../packet-observer.js';
import { MGY_COUNT_LOST, MGY_WATCH_STARTS } from './abi.gen.js';
import { readCounter } from './counters.js';
import { FlowEvents } from './flow-events.js';
import type { GrowingTables } from './growing-tables.js';
import { RuleHitCounters } from './rule-hits.js';
import type { Verdict } from './tables/policy-tables.js';

export interface EbpfObserverParts {
  readonly present: GrowingTables;
  /** Kernel ticks per second. */
  readonly hz: number;
}

export class EbpfObserver implements PacketObserver, Disposable {
  readonly #present: GrowingTables;
  readonly #events: FlowEvents;
  #hits: RuleHitCounters | undefined;

  constructor({ present, hz }: EbpfObserverParts) {
    this.#present = present;
    const describe = (trace: number) => present.tables.describeTrace(trace);
    this.#events = new FlowEvents(this.#shared('mgy_events_v2'), { describe, hz });
    // An agent that was killed while somebody watched has left it on.
    this.watchStarts(false);
  }

  /** From here on hits are counted. */
  async open(): Promise<void> {
    this.#hits = await RuleHitCounters.open(this.#shared('mgy_hits_v1'));
  }

  #shared(name: 'mgy_events_v2' | 'mgy_hits_v1' | 'mgy_watch_v1' | 'mgy_cnt_v1'): BpfMap {
    return this.#present.generation.shared[name];
  }

  onSighting(listener: (sighting: FlowSighting) => void): void {
    this.#events.onSighting(listener);
  }

  watchStarts(on: boolean): void {
    const word = new BigUint64Array([on ? BigInt(MGY_WATCH_STARTS) : 0n]);
    this.#shared('mgy_watch_v1').update(new Uint8Array(4), new Uint8Array(word.buffer));
  }

  lost(): number {
    return Number(readCounter(this.#shared('mgy_cnt_v1'), MGY_COUNT_LOST).packets);
  }

  takeRuleHits(): readonly RuleHits[] {
    const { generation, tables } = this.#present;
    return this.#hits?.take(generation.shared.mgy_hits_v1, tables.traces) ?? [];
  }

  verdict({ icmp, ...tuple }: FlowTuple): KernelVerdict {
    const { tables } = this.#present;
    const side = (found: Verdict | null): SideVerdict | null =>
      found === null
        ? null
        : { allow: found.allow, log: found.log, decisions: tables.describeTrace(found.trace) };
    const destinationPort = icmp ? (icmp.type << 8) | icmp.code : tuple.destinationPort;
    const { egress, ingress, ready } = tables.lookup({ ...tuple, destinationPort });
    return { egress: side(egress), ingress: side(ingress), ready };
  }

  [Symbol.dispose](): void {
    this.#events[Symbol.dispose]();
  }
}
