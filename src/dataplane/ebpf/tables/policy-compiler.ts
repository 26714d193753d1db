import {
  MGY_CELL_ALLOW,
  MGY_CELL_CONTINUE,
  MGY_CELL_LOG,
  MGY_CELL_TRACE_SHIFT,
} from '../abi.gen.js';
import type { RuleAction } from '../../../model/desired.js';
import type { AtomId } from './atom-sets.js';
import { L4_END, type L4Position, type L4Ranges, lastAtMost } from './l4-space.js';
import type { Decision, TraceTable } from './traces.js';
import { WordSupply } from './word-supply.js';

/** A product of a rule, its atoms by id. Order is the order of evaluation. */
export interface Term {
  readonly action: RuleAction;
  /** The same object for every term of one rule. */
  readonly decision: Decision;
  readonly positive: readonly AtomId[];
  readonly negative: readonly AtomId[];
  /** Asked of the local address, where that is not folded in. */
  readonly near: AtomsAsked;
  readonly destination: L4Ranges;
  readonly source: L4Ranges | null;
}

export interface AtomsAsked {
  readonly positive: readonly AtomId[];
  readonly negative: readonly AtomId[];
}

/** A tier or a profile: Pass leaves it. */
export interface Segment {
  /** Index of the term after its last. */
  readonly end: number;
  /** What denies if no term decided; null: go on with the next segment. */
  readonly denial: Decision | null;
}

/** Where the last segment has no denial, what nothing decided goes on (MGY_CELL_CONTINUE). */
export interface TermList {
  readonly terms: readonly Term[];
  readonly segments: readonly Segment[];
}

/**
 * A term list made ready to be asked, for any set of atoms, what happens at each port: bit i of a bitmap
 * stands for term i, and a verdict is the first decisive bit of row AND column.
 * Cost of row(): (terms that name one of the atoms) + columns x (non-zero words of the row).
 */
export class PolicyProgram {
  readonly destinations: L4Axis;
  readonly sources: L4Axis;
  readonly #terms: readonly Term[];
  readonly #segments: readonly Segment[];
  readonly #traces: TraceTable;
  readonly #far: TermsByAtom;
  /** null: nothing is asked of the local address. */
  readonly #near: TermsByAtom | null;
  /** Cells of terms and segments reached without Log or Pass on the way; 0: not made yet. */
  readonly #termCells: Uint32Array;
  readonly #segmentCells: Uint32Array;
  readonly #held = new Set<number>();
  /** Used again for each row and for each cell: there are hundreds of thousands in a commit. */
  readonly #walk: Walk = { segment: 0, trail: [], logged: false };
  #cells: Uint32Array | null = null;

  constructor({ terms, segments }: TermList, traces: TraceTable) {
    this.#terms = terms;
    this.#segments = segments;
    this.#traces = traces;
    this.destinations = new L4Axis(terms.map((term) => term.destination));
    this.sources = new L4Axis(terms.map((term) => term.source));
    this.#far = new TermsByAtom(terms);
    const asksNear = terms.some(({ near }) => near.positive.length + near.negative.length > 0);
    this.#near = asksNear ? new TermsByAtom(terms.map(({ near }) => near)) : null;
    this.#termCells = new Uint32Array(terms.length);
    this.#segmentCells = new Uint32Array(segments.length);
  }

  /** Cells per row. */
  get width(): number {
    return this.destinations.columns.length * this.sources.columns.length;
  }

  /** Where the program needs L4 classes to end. */
  *boundaries(): Iterable<L4Position> {
    yield* this.destinations.boundaries;
    yield* this.sources.boundaries;
  }

  /** Equal for classes that this program cannot tell apart. */
  rowKey(atoms: readonly AtomId[]): string {
    return this.#far.keyOf(atoms);
  }

  /** The same of classes of the local address. */
  nearKey(atoms: readonly AtomId[]): string {
    return this.#near?.keyOf(atoms) ?? '';
  }

  /**
   * Destination column by source column: cell values (abi.h, MGY_CELL_*), for atoms of the remote address, and of the
   * local one where it is not folded in. To be copied before the next row is asked for.
   */
  row(atoms: readonly AtomId[], near: readonly AtomId[] = []): Uint32Array {
    const bits = this.#far.matching(atoms);
    if (this.#near !== null) {
      const own = this.#near.matching(near);
      for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) & (own[i] ?? 0);
    }
    const words: number[] = [];
    for (let i = 0; i < bits.length; i++) if (bits[i] !== 0) words.push(i);
    this.#cells ??= new Uint32Array(this.width);
    const cells = this.#cells;
    // Where nothing matches, which is nearly everywhere, the outcome is always the same.
    const unmatched = this.#endOf(this.#start());
    const maps: CellMaps = { row: bits, destination: bits, source: bits };
    let at = 0;
    for (const destination of this.destinations.columns) {
      maps.destination = destination;
      for (const source of this.sources.columns) {
        maps.source = source;
        cells[at++] = meets(words, maps) ? this.#cell(words, maps) : unmatched;
      }
    }
    return cells;
  }

  /** Gives back the trace ids. The program must not be asked again. */
  dispose(): void {
    for (const id of this.#held) this.#traces.release(id);
    this.#held.clear();
  }

  #cell(words: readonly number[], { row, destination, source }: CellMaps): number {
    const walk = this.#start();
    for (const word of words) {
      let bits = (row[word] ?? 0) & (destination[word] ?? 0) & (source[word] ?? 0);
      while (bits !== 0) {
        const lowest = bits & -bits;
        bits ^= lowest;
        const cell = this.#step(walk, word * 32 + 31 - Math.clz32(lowest));
        if (cell !== 0) return cell;
      }
    }
    return this.#endOf(walk);
  }

  #start(): Walk {
    const walk = this.#walk;
    walk.segment = 0;
    // Setting a length is slow, and hardly any walk leaves a trail.
    if (walk.trail.length > 0) walk.trail.length = 0;
    walk.logged = false;
    return walk;
  }

  /** No term decided: a denial, or the packet goes on. */
  #endOf(walk: Walk): number {
    const denial = this.#denialBefore(walk, Number.POSITIVE_INFINITY);
    if (denial !== 0) return denial;
    const trace = walk.trail.length === 0 ? 0 : this.#traceOf(walk.trail);
    const flags = MGY_CELL_CONTINUE | (walk.logged ? MGY_CELL_LOG : 0);
    return ((trace << MGY_CELL_TRACE_SHIFT) | flags) >>> 0;
  }

  #traceOf(decisions: readonly Decision[]): number {
    const trace = this.#traces.acquire(decisions);
    if (this.#held.has(trace)) this.#traces.release(trace);
    this.#held.add(trace);
    return trace;
  }

  /** A matching term, in order. Returns a cell when something decided, else 0. */
  #step(walk: Walk, index: number): number {
    const denial = this.#denialBefore(walk, index);
    if (denial !== 0) return denial;
    // After a Pass the walk is in a later segment than the terms it skips.
    if (index < (this.#segments[walk.segment - 1]?.end ?? 0)) return 0;
    const term = this.#terms[index];
    if (term === undefined) return 0;
    switch (term.action) {
      case 'log':
        walk.logged = true;
        if (walk.trail.at(-1) !== term.decision) walk.trail.push(term.decision);
        return 0;
      case 'pass':
        walk.trail.push(term.decision);
        walk.segment++;
        return 0;
      case 'allow':
      case 'deny':
        return (
          knownCell(walk, this.#termCells, index) ||
          this.#decided(walk, { cells: this.#termCells, index }, term)
        );
      default:
        return term.action satisfies never;
    }
  }

  /** Falls off the end of the segments that end at or before a term. */
  #denialBefore(walk: Walk, index: number): number {
    for (;;) {
      const segment = this.#segments[walk.segment];
      if (segment === undefined || segment.end > index) return 0;
      if (segment.denial !== null) {
        const known = knownCell(walk, this.#segmentCells, walk.segment);
        if (known !== 0) return known;
        const cache = { cells: this.#segmentCells, index: walk.segment };
        return this.#decided(walk, cache, { action: 'deny', decision: segment.denial });
      }
      walk.segment++;
    }
  }

  #decided(
    walk: Walk,
    cache: { readonly cells: Uint32Array; readonly index: number },
    final: { readonly action: RuleAction; readonly decision: Decision },
  ): number {
    const trace = this.#traceOf([...walk.trail, final.decision]);
    const flags =
      (final.action === 'allow' ? MGY_CELL_ALLOW : 0) | (walk.logged ? MGY_CELL_LOG : 0);
    const cell = ((trace << MGY_CELL_TRACE_SHIFT) | flags) >>> 0;
    if (walk.trail.length === 0) cache.cells[cache.index] = cell;
    return cell;
  }
}

/** Which terms the atoms of one address satisfy. */
class TermsByAtom {
  readonly #asked: readonly AtomsAsked[];
  readonly #atoms: ReadonlySet<AtomId>;
  readonly #base: Uint32Array;
  /** Terms to set: by one of their positive atoms. */
  readonly #setBy = new Map<AtomId, number[]>();
  /** Terms to clear, of those that need no atom. */
  readonly #clearedBy = new Map<AtomId, number[]>();

  /** Of the address in question. */
  readonly #matching: Uint32Array;

  constructor(asked: readonly AtomsAsked[]) {
    this.#asked = asked;
    this.#base = new Uint32Array(Math.ceil(asked.length / 32));
    this.#matching = new Uint32Array(this.#base.length);
    const atoms = new Set<AtomId>();
    for (const [i, { positive, negative }] of asked.entries()) {
      for (const atom of positive) atoms.add(atom);
      for (const atom of negative) atoms.add(atom);
      const first = positive[0];
      if (first !== undefined) append(this.#setBy, first, i);
      else {
        setBit(this.#base, i);
        for (const atom of negative) append(this.#clearedBy, atom, i);
      }
    }
    this.#atoms = atoms;
  }

  keyOf(atoms: readonly AtomId[]): string {
    return atoms.filter((atom) => this.#atoms.has(atom)).join(',');
  }

  /** A bitmap that holds until the next one is asked for. */
  matching(atoms: readonly AtomId[]): Uint32Array {
    const bits = this.#matching;
    bits.set(this.#base);
    let has: ((atom: AtomId) => boolean) | null = null;
    for (const atom of atoms) {
      for (const term of this.#clearedBy.get(atom) ?? []) clearBit(bits, term);
      for (const i of this.#setBy.get(atom) ?? []) {
        const asked = this.#asked[i];
        if (asked === undefined) continue;
        if (asked.positive.length + asked.negative.length > 1) {
          has ??= membershipOf(atoms);
          if (!asked.positive.every(has) || asked.negative.some(has)) continue;
        }
        setBit(bits, i);
      }
    }
    return bits;
  }
}

const FEW = 8;

function membershipOf(atoms: readonly AtomId[]): (atom: AtomId) => boolean {
  if (atoms.length <= FEW) return (atom) => atoms.includes(atom);
  const set = new Set(atoms);
  return (atom) => set.has(atom);
}

interface Walk {
  segment: number;
  readonly trail: Decision[];
  logged: boolean;
}

/** Of a decision reached without Log or Pass on the way; 0: not made yet. */
const knownCell = (walk: Walk, cells: Uint32Array, index: number): number =>
  walk.trail.length === 0 ? (cells[index] ?? 0) : 0;

interface CellMaps {
  readonly row: Uint32Array;
  destination: Uint32Array;
  source: Uint32Array;
}

function meets(words: readonly number[], { row, destination, source }: CellMaps): boolean {
  for (const i of words) {
    if (((row[i] ?? 0) & (destination[i] ?? 0) & (source[i] ?? 0)) !== 0) return true;
  }
  return false;
}

/** Columns of a program: positions where the same terms match share one. */
export class L4Axis {
  /** Bitmap of the terms that match, per column. */
  readonly columns: readonly Uint32Array[];
  /** Where the column changes; position 0 is not listed. */
  readonly boundaries: readonly L4Position[];
  readonly #starts: readonly L4Position[];
  readonly #columnOf: readonly number[];

  /** null: the term matches everywhere. */
  constructor(sets: readonly (L4Ranges | null)[]) {
    const toggles = new Map<L4Position, number[]>([[0, []]]);
    const bits = new Uint32Array(Math.ceil(sets.length / 32));
    for (const [i, ranges] of sets.entries()) {
      if (ranges === null) setBit(bits, i);
      for (const { first, last } of ranges ?? []) {
        append(toggles, first, i);
        append(toggles, last + 1, i);
      }
    }
    const columns = new Bitmaps();
    const starts: L4Position[] = [];
    const columnOf: number[] = [];
    let hash = 0;
    for (const [position, terms] of [...toggles].sort(([a], [b]) => a - b)) {
      for (const term of terms) {
        bits[term >>> 5] = (bits[term >>> 5] ?? 0) ^ (1 << (term & 31));
        hash ^= scramble(term);
      }
      const column = columns.intern(bits, hash);
      if (column === columnOf.at(-1)) continue;
      starts.push(position);
      columnOf.push(column);
    }
    this.columns = columns.list;
    this.#starts = starts;
    this.#columnOf = columnOf;
    this.boundaries = starts.slice(1).filter((start) => start < L4_END);
  }

  columnAt(position: L4Position): number {
    return this.#columnOf[lastAtMost(this.#starts, position)] ?? 0;
  }
}

/** Interned bitmaps; the hash only narrows the search. */
class Bitmaps {
  readonly list: Uint32Array[] = [];
  readonly #words = new WordSupply();
  readonly #latest = new Map<number, number>();
  /** Of each, the one before it with the same hash; -1: none. */
  readonly #before: number[] = [];

  intern(bits: Uint32Array, hash: number): number {
    let index = this.#latest.get(hash) ?? -1;
    for (; index >= 0; index = this.#before[index] ?? -1) {
      if (equalWords(this.list[index] ?? bits, bits)) return index;
    }
    const made = this.#words.take(bits.length);
    made.set(bits);
    this.#before.push(this.#latest.get(hash) ?? -1);
    this.#latest.set(hash, this.list.length);
    return this.list.push(made) - 1;
  }
}

export function equalWords(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Spreads a number over 32 bits (the finaliser of MurmurHash3). */
export function scramble(value: number): number {
  let x = value + 0x9e37_79b9;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return x ^ (x >>> 16);
}

function append<K>(map: Map<K, number[]>, key: K, value: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

const setBit = (bits: Uint32Array, i: number): void => {
  bits[i >>> 5] = (bits[i >>> 5] ?? 0) | (1 << (i & 31));
};
const clearBit = (bits: Uint32Array, i: number): void => {
  bits[i >>> 5] = (bits[i >>> 5] ?? 0) & ~(1 << (i & 31));
};
