import { type Decision, decisionsKey } from '../../../model/decision.js';

export type { Decision, Direction } from '../../../model/decision.js';

interface Trace {
  readonly id: number;
  readonly key: string;
  readonly decisions: readonly Decision[];
  references: number;
}

const TRACE_ID_END = 2 ** 28;
/** Each id in use has a counter of its own as long as there are that many: the lower 16 bits say which. */
const SLOT_MASK = 0xffff;

/**
 * Lists of decisions by number: Log and Pass rules on the way, then what decided. Numbers outlive the rules,
 * because connections and events carry them: the last ones to fall out of use are kept for a while. A number is a
 * hash of the decisions, so that connections of an earlier agent, or of smaller tables, mean the same by it.
 */
export class TraceTable {
  readonly #byKey = new Map<string, Trace>();
  readonly #byId = new Map<number, Trace>();
  readonly #slots = new Map<number, number>();
  readonly #unused = new Set<Trace>();
  /** Traces of one decision: the same object is asked for by every set that has the rule. */
  readonly #ofDecision = new WeakMap<Decision, Trace>();
  readonly #unusedMax: number;

  constructor(unusedMax = 16_384) {
    this.#unusedMax = unusedMax;
  }

  /** Traces that blocks in force carry. */
  get inUse(): number {
    return this.#byId.size - this.#unused.size;
  }

  /** Also those that fell out of use lately. */
  known(): IterableIterator<{ readonly id: number; readonly decisions: readonly Decision[] }> {
    return this.#byId.values();
  }

  acquire(decisions: readonly Decision[]): number {
    const [first] = decisions;
    const only = decisions.length === 1 ? first : undefined;
    const seen = only === undefined ? undefined : this.#ofDecision.get(only);
    const isHeld = seen !== undefined && this.#byId.get(seen.id) === seen;
    const trace = isHeld ? seen : this.#find(decisions);
    if (only !== undefined && !isHeld) this.#ofDecision.set(only, trace);
    if (trace.references++ === 0) this.#unused.delete(trace);
    return trace.id;
  }

  release(id: number): void {
    const trace = this.#byId.get(id);
    if (trace === undefined || --trace.references > 0) return;
    this.#unused.add(trace);
    if (this.#unused.size <= this.#unusedMax) return;
    for (const oldest of this.#unused) {
      this.#forget(oldest);
      return;
    }
  }

  describe(id: number): readonly Decision[] {
    return this.#byId.get(id)?.decisions ?? [];
  }

  #forget(trace: Trace): void {
    this.#unused.delete(trace);
    this.#byKey.delete(trace.key);
    this.#byId.delete(trace.id);
    const slot = trace.id & SLOT_MASK;
    const left = (this.#slots.get(slot) ?? 1) - 1;
    if (left === 0) this.#slots.delete(slot);
    else this.#slots.set(slot, left);
  }

  #find(decisions: readonly Decision[]): Trace {
    const key = decisionsKey(decisions);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const made = { id: this.#freeId(key), key, decisions: [...decisions], references: 0 };
    this.#byKey.set(key, made);
    this.#byId.set(made.id, made);
    const slot = made.id & SLOT_MASK;
    this.#slots.set(slot, (this.#slots.get(slot) ?? 0) + 1);
    return made;
  }

  /** The hash, or the next number after it whose slot nobody has; with every slot taken, one is shared. */
  #freeId(key: string): number {
    const hash = hash28(key);
    const high = hash - (hash & SLOT_MASK);
    let slot = hash & SLOT_MASK;
    if (this.#slots.size < SLOT_MASK) {
      while (slot === 0 || this.#slots.has(slot)) slot = (slot + 1) & SLOT_MASK;
      return high + slot;
    }
    let id = hash;
    while ((id & SLOT_MASK) === 0 || this.#byId.has(id)) id = (id + 1) % TRACE_ID_END;
    return id;
  }
}

/** FNV-1a of the text's code units, folded. */
function hash28(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return ((hash >>> 28) ^ hash) & (TRACE_ID_END - 1);
}
