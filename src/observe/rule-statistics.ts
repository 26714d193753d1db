/** How much each rule, or the lack of one, has decided: from the kernel's counters and from connections. */
import { type Decision, decisionKey } from '../model/decision.js';
import type { RuleHits } from '../model/flow.js';

export interface RuleCount {
  readonly decision: Decision;
  /** Packets that policy was asked about: the first ones of connections, and all that are denied. */
  readonly packets: number;
  readonly bytes: number;
  /** What connections that it let through have carried since, both ways. */
  readonly carriedPackets: number;
  readonly carriedBytes: number;
  /** Milliseconds since the epoch; when counters were read, so some seconds late. 0: never. */
  readonly lastHitMs: number;
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Rules that are counted; beyond that the one that was hit longest ago is forgotten. */
const RULES_MAX = 100_000;

export class RuleStatistics {
  /** In order of their last hit. */
  readonly #counts = new Map<string, Mutable<RuleCount>>();

  addHits(hits: readonly RuleHits[], nowMs: number): void {
    for (const { decisions, packets, bytes } of hits) {
      for (const decision of decisions) {
        const count = this.#touch(decision);
        count.packets += packets;
        count.bytes += bytes;
        count.lastHitMs = nowMs;
      }
    }
  }

  addCarried(decisions: readonly Decision[], packets: number, bytes: number): void {
    for (const decision of decisions) {
      const count = this.#touch(decision);
      count.carriedPackets += packets;
      count.carriedBytes += bytes;
    }
  }

  get(decision: Decision): RuleCount | undefined {
    return this.#counts.get(decisionKey(decision));
  }

  all(): readonly RuleCount[] {
    return [...this.#counts.values()];
  }

  #touch(decision: Decision): Mutable<RuleCount> {
    const key = decisionKey(decision);
    const known = this.#counts.get(key);
    const count = known ?? {
      ...{ decision, packets: 0, bytes: 0, carriedPackets: 0, carriedBytes: 0, lastHitMs: 0 },
    };
    if (known !== undefined) this.#counts.delete(key);
    this.#counts.set(key, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > RULES_MAX && oldest !== undefined) this.#counts.delete(oldest);
    return count;
  }
}
