import { type Decision, decisionsKey } from '../../../model/decision.js';

export type { Decision, Direction } from '../../../model/decision.js';

interface Trace {
  readonly id: number;
  readonly key: string;
  readonly decisions: readonly Decision[];
  references: number;
}

const TRACE_ID_END = 2 ** 28;

/**
 * Lists of decisions by number: Log and Pass rules on the way, then what decided. Numbers outlive the rules,
 * because connections and events carry them: the last ones to fall out of use are kept for a while.
 */
export class TraceTable {
  readonly #byKey = new Map<string, Trace>();
  readonly #byId = new Map<number, Trace>();
  readonly #unused = new Set<Trace>();
  readonly #unusedMax: number;
  #nextId = 1;

  constructor(unusedMax = 65_536) {
    this.#unusedMax = unusedMax;
  }

  /** Traces that blocks in force carry. */
  get inUse(): number {
    return this.#byId.size - this.#unused.size;
  }

  acquire(decisions: readonly Decision[]): number {
    const key = decisionsKey(decisions);
    let trace = this.#byKey.get(key);
    if (trace === undefined) {
      trace = { id: this.#freeId(), key, decisions: [...decisions], references: 0 };
      this.#byKey.set(key, trace);
      this.#byId.set(trace.id, trace);
    }
    trace.references++;
    this.#unused.delete(trace);
    return trace.id;
  }

  release(id: number): void {
    const trace = this.#byId.get(id);
    if (trace === undefined || --trace.references > 0) return;
    this.#unused.add(trace);
    if (this.#unused.size <= this.#unusedMax) return;
    for (const oldest of this.#unused) {
      this.#unused.delete(oldest);
      this.#byKey.delete(oldest.key);
      this.#byId.delete(oldest.id);
      return;
    }
  }

  describe(id: number): readonly Decision[] {
    return this.#byId.get(id)?.decisions ?? [];
  }

  /** Not the number just given back: 28 bits last long before one is met again. */
  #freeId(): number {
    while (this.#byId.has(this.#nextId)) this.#nextId = (this.#nextId % (TRACE_ID_END - 1)) + 1;
    const id = this.#nextId;
    this.#nextId = (id % (TRACE_ID_END - 1)) + 1;
    return id;
  }
}
