import type { AddressClass } from './class-table.js';
import { equalWords, type PolicyProgram, scramble } from './policy-compiler.js';
import { WordSupply } from './word-supply.js';

/** A policy set needs more room than one block may have. It is closed, not cut short. */
export class BlockTooLargeError extends Error {}

/** Which columns of a program share a column of the block. */
export interface ColumnMerge {
  /** Per column of the program. */
  readonly mergedOf: readonly number[];
  /** Per merged column, the first of the program's columns. */
  readonly first: readonly number[];
}

/** Distinct rows over merged columns. */
export interface MergedRows {
  readonly destinations: ColumnMerge;
  readonly sources: ColumnMerge;
  /** Merged cells, destination by source. */
  readonly rows: readonly Uint32Array[];
}

/** And who is in which. */
export interface PolicyMatrix extends MergedRows {
  readonly rowOfClass: ReadonlyMap<number, number>;
  readonly rowOfKey: Map<string, number>;
}

const ROWS_MAX = 65_536;
const COLUMNS_MAX = 65_536;

/**
 * Evaluates a program for classes; equal rows and columns are one. Throws BlockTooLargeError.
 * Cost: one row of the program per distinct key, then a pass over all cells.
 */
export function buildMatrix(
  program: PolicyProgram,
  classes: Iterable<AddressClass>,
  cellsMax: number,
): PolicyMatrix {
  const full = new Rows();
  const rowOfKey = new Map<string, number>();
  const rowOfClass = new Map<number, number>();
  for (const { id, atoms } of classes) {
    const key = program.rowKey(atoms);
    const known = rowOfKey.get(key);
    if (known !== undefined) {
      rowOfClass.set(id, known);
      continue;
    }
    const made = full.intern(program.row(atoms));
    rowOfKey.set(key, made);
    rowOfClass.set(id, made);
    if (full.list.length > ROWS_MAX || full.list.length * program.width > 4 * cellsMax) {
      throw new BlockTooLargeError(`${full.list.length} rows of ${program.width} cells and more`);
    }
  }
  return { ...mergeRows(full, program), rowOfClass, rowOfKey };
}

/** Rows for pairs of classes: one of the local address, one of the remote one. */
export interface PairMatrix extends MergedRows {
  readonly nears: Side;
  readonly fars: Side;
  /** Row of each pair: near by far. */
  readonly pairs: Uint16Array;
}

/** Classes that a program cannot tell apart, numbered. */
interface Side {
  readonly ofKey: ReadonlyMap<string, number>;
  readonly ofClass: ReadonlyMap<number, number>;
  readonly atoms: readonly (readonly number[])[];
}

const PAIRS_MAX = 1 << 22;

/** As buildMatrix, for a program that asks about both addresses. Cost: a row of the program per pair of keys. */
export function buildPairs(
  program: PolicyProgram,
  classes: Iterable<AddressClass>,
  cellsMax: number,
): PairMatrix {
  const all = [...classes];
  const nears = numbered(all, (atoms) => program.nearKey(atoms));
  const fars = numbered(all, (atoms) => program.rowKey(atoms));
  const count = nears.atoms.length * fars.atoms.length;
  if (count > PAIRS_MAX || Math.max(nears.atoms.length, fars.atoms.length) > ROWS_MAX) {
    throw new BlockTooLargeError(`${count} pairs of address classes`);
  }
  const full = new Rows();
  const pairs = new Uint16Array(count);
  let at = 0;
  for (const near of nears.atoms) {
    for (const far of fars.atoms) {
      const row = full.intern(program.row(far, near));
      if (row >= ROWS_MAX || row * program.width > 4 * cellsMax) {
        throw new BlockTooLargeError(`${row} rows of ${program.width} cells and more`);
      }
      pairs[at++] = row;
    }
  }
  return { ...mergeRows(full, program), nears, fars, pairs };
}

function numbered(
  classes: readonly AddressClass[],
  keyOf: (atoms: readonly number[]) => string,
): Side {
  const ofKey = new Map<string, number>();
  const ofClass = new Map<number, number>();
  const list: (readonly number[])[] = [];
  for (const { id, atoms } of classes) {
    const key = keyOf(atoms);
    const known = ofKey.get(key) ?? list.push(atoms) - 1;
    ofKey.set(key, known);
    ofClass.set(id, known);
  }
  return { ofKey, ofClass, atoms: list };
}

function mergeRows(full: Rows, program: PolicyProgram): MergedRows {
  const width = program.sources.columns.length;
  const height = program.destinations.columns.length;
  const rows = { first: width, length: width, step: 1 };
  const columns = { first: 1, length: height, step: width };
  const destinations = mergeColumns(full.list, { count: height, ...rows });
  const sources = mergeColumns(full.list, { count: width, ...columns });
  if (destinations.first.length > COLUMNS_MAX || sources.first.length > COLUMNS_MAX) {
    throw new BlockTooLargeError(`${destinations.first.length} columns`);
  }
  const merge = { destinations, sources };
  // Rows differ in some cell, and merged columns are equal in all rows: merged rows still differ.
  const words = new WordSupply();
  return { ...merge, rows: full.list.map((row) => mergeRow(row, merge, words) ?? row) };
}

/** null: the row tells columns apart that are one. The row itself if nothing is to be merged. */
export function mergeRow(
  row: Uint32Array,
  merge: { readonly destinations: ColumnMerge; readonly sources: ColumnMerge },
  words = new WordSupply(),
): Uint32Array | null {
  const { destinations, sources } = merge;
  const width = sources.mergedOf.length;
  const isWhole =
    destinations.first.length === destinations.mergedOf.length && sources.first.length === width;
  if (isWhole) return row;
  const merged = words.take(destinations.first.length * sources.first.length);
  let at = 0;
  for (const d of destinations.first) {
    for (const s of sources.first) merged[at++] = row[d * width + s] ?? 0;
  }
  at = 0;
  for (const d of destinations.mergedOf) {
    for (const s of sources.mergedOf) {
      if (row[at++] !== merged[d * sources.first.length + s]) return null;
    }
  }
  return merged;
}

/** Where columns of one axis are in a row: cell i of column c is at c * first + i * step. */
interface AxisLayout {
  readonly count: number;
  readonly first: number;
  readonly length: number;
  readonly step: number;
}

function mergeColumns(rows: readonly Uint32Array[], axis: AxisLayout): ColumnMerge {
  const { count } = axis;
  if (count === 1) return { mergedOf: [0], first: [0] };
  const hashes = columnHashes(rows, axis);
  const same = (a: number, b: number): boolean =>
    rows.every((row) => isSameColumn(row, axis, a, b));
  const mergedOf: number[] = [];
  const first: number[] = [];
  /** The latest merged column of each hash, and the one before each that has the same; -1: none. */
  const latest = new Map<number, number>();
  const before: number[] = [];
  for (let column = 0; column < count; column++) {
    const hash = hashes[column] ?? 0;
    let merged = latest.get(hash) ?? -1;
    while (merged >= 0 && !same(first[merged] ?? 0, column)) merged = before[merged] ?? -1;
    if (merged < 0) {
      before.push(latest.get(hash) ?? -1);
      merged = first.push(column) - 1;
      latest.set(hash, merged);
    }
    mergedOf.push(merged);
  }
  return { mergedOf, first };
}

function columnHashes(rows: readonly Uint32Array[], axis: AxisLayout): Int32Array {
  const hashes = new Int32Array(axis.count);
  for (let salt = 0; salt < rows.length; salt++) {
    const row = rows[salt];
    if (row === undefined) continue;
    for (let column = 0; column < axis.count; column++) {
      let hash = hashes[column] ?? 0;
      const start = column * axis.first;
      for (let i = 0; i < axis.length; i++) {
        hash = Math.imul(hash ^ (row[start + i * axis.step] ?? 0), 0x0100_0193) ^ salt;
      }
      hashes[column] = scramble(hash);
    }
  }
  return hashes;
}

function isSameColumn(row: Uint32Array, axis: AxisLayout, a: number, b: number): boolean {
  for (let i = 0; i < axis.length; i++) {
    const at = i * axis.step;
    if (row[a * axis.first + at] !== row[b * axis.first + at]) return false;
  }
  return true;
}

/** Interned rows; the hash only narrows the search. */
export class Rows {
  readonly list: Uint32Array[] = [];
  readonly #words = new WordSupply();
  /** The latest row of each hash, and the one before each row that has the same; -1: none. */
  readonly #latest = new Map<number, number>();
  readonly #before: number[] = [];

  find(row: Uint32Array): number | undefined {
    return this.#find(row, hashOf(row));
  }

  /** A copy, if it is new: the caller's may change. */
  intern(row: Uint32Array): number {
    const hash = hashOf(row);
    const known = this.#find(row, hash);
    if (known !== undefined) return known;
    const copy = this.#words.take(row.length);
    copy.set(row);
    return this.#add(copy, hash);
  }

  /** A new row that will not change. */
  adopt(row: Uint32Array): void {
    this.#add(row, hashOf(row));
  }

  #add(row: Uint32Array, hash: number): number {
    const index = this.list.push(row) - 1;
    this.#before.push(this.#latest.get(hash) ?? -1);
    this.#latest.set(hash, index);
    return index;
  }

  #find(row: Uint32Array, hash: number): number | undefined {
    let index = this.#latest.get(hash) ?? -1;
    while (index >= 0) {
      if (equalWords(this.list[index] ?? row, row)) return index;
      index = this.#before[index] ?? -1;
    }
    return undefined;
  }
}

function hashOf(row: Uint32Array): number {
  let hash = row.length;
  for (let i = 0; i < row.length; i++) hash = Math.imul(hash ^ (row[i] ?? 0), 0x0100_0193);
  return scramble(hash);
}
