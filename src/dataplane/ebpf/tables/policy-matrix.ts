import type { AddressClass } from './class-table.js';
import { equalWords, type PolicyProgram, scramble } from './policy-compiler.js';

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
  readonly rowOfKey: ReadonlyMap<string, number>;
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
  const fullOfKey = new Map<string, number>();
  const keyOfClass = new Map<number, string>();
  for (const { id, atoms } of classes) {
    const key = program.rowKey(atoms);
    keyOfClass.set(id, key);
    if (fullOfKey.has(key)) continue;
    fullOfKey.set(key, full.intern(program.row(atoms)));
    if (full.list.length > ROWS_MAX || full.list.length * program.width > 4 * cellsMax) {
      throw new BlockTooLargeError(`${full.list.length} rows of ${program.width} cells and more`);
    }
  }
  const rowOfClass = new Map([...keyOfClass].map(([id, key]) => [id, fullOfKey.get(key) ?? 0]));
  return { ...mergeRows(full, program), rowOfClass, rowOfKey: fullOfKey };
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
  const destinations = mergeColumns(full.list, program.destinations.columns.length, (cell) =>
    Math.floor(cell / width),
  );
  const sources = mergeColumns(full.list, width, (cell) => cell % width);
  if (destinations.first.length > COLUMNS_MAX || sources.first.length > COLUMNS_MAX) {
    throw new BlockTooLargeError(`${destinations.first.length} columns`);
  }
  const merge = { destinations, sources };
  // Rows differ in some cell, and merged columns are equal in all rows: merged rows still differ.
  return { ...merge, rows: full.list.map((row) => mergeRow(row, merge) ?? row) };
}

/** null: the row tells columns apart that are one. */
export function mergeRow(
  row: Uint32Array,
  merge: { readonly destinations: ColumnMerge; readonly sources: ColumnMerge },
): Uint32Array | null {
  const { destinations, sources } = merge;
  const width = sources.mergedOf.length;
  const merged = new Uint32Array(destinations.first.length * sources.first.length);
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

function mergeColumns(
  rows: readonly Uint32Array[],
  count: number,
  columnOf: (cell: number) => number,
): ColumnMerge {
  if (count === 1) return { mergedOf: [0], first: [0] };
  const hashes = new Int32Array(count);
  let salt = 0;
  const width = rows[0]?.length ?? 0;
  const columns = Array.from({ length: width }, (_, cell) => columnOf(cell));
  // Position in the column: the same for every column at the same place along the other axis.
  const members: number[][] = Array.from({ length: count }, () => []);
  for (const [cell, column] of columns.entries()) members[column]?.push(cell);
  for (const row of rows) {
    for (const [column, cells] of members.entries()) {
      let hash = hashes[column] ?? 0;
      for (const cell of cells) hash = Math.imul(hash ^ (row[cell] ?? 0), 0x0100_0193) ^ salt;
      hashes[column] = scramble(hash);
    }
    salt++;
  }
  const same = (a: number, b: number): boolean =>
    rows.every((row) =>
      (members[a] ?? []).every((cell, i) => row[cell] === row[members[b]?.[i] ?? 0]),
    );
  const mergedOf: number[] = [];
  const first: number[] = [];
  const byHash = new Map<number, number[]>();
  for (let column = 0; column < count; column++) {
    const candidates = byHash.get(hashes[column] ?? 0) ?? [];
    let merged = candidates.find((candidate) => same(first[candidate] ?? 0, column));
    if (merged === undefined) {
      merged = first.push(column) - 1;
      byHash.set(hashes[column] ?? 0, [...candidates, merged]);
    }
    mergedOf.push(merged);
  }
  return { mergedOf, first };
}

/** Interned rows; the hash only narrows the search. */
export class Rows {
  readonly list: Uint32Array[] = [];
  readonly #byHash = new Map<number, number[]>();

  find(row: Uint32Array): number | undefined {
    return this.#byHash.get(hashOf(row))?.find((i) => equalWords(this.list[i] ?? row, row));
  }

  intern(row: Uint32Array): number {
    const hash = hashOf(row);
    const same = this.#byHash.get(hash);
    const known = same?.find((i) => equalWords(this.list[i] ?? row, row));
    if (known !== undefined) return known;
    const index = this.list.push(row) - 1;
    if (same === undefined) this.#byHash.set(hash, [index]);
    else same.push(index);
    return index;
  }
}

function hashOf(row: Uint32Array): number {
  let hash = row.length;
  for (let i = 0; i < row.length; i++) hash = Math.imul(hash ^ (row[i] ?? 0), 0x0100_0193);
  return scramble(hash);
}
