import {
  MGY_BLK_CELLS,
  MGY_BLK_CLASSES,
  MGY_BLK_CMAP,
  MGY_BLK_COLS,
  MGY_BLK_L4S,
  MGY_BLK_LMAP,
  MGY_BLK_ROWS,
  MGY_BLK_SCOLS,
  MGY_BLK_SMAP,
} from '../abi.gen.js';
import type { Arena } from './arena.js';
import type { AddressClass, ClassTable } from './class-table.js';
import type { L4Classes, L4Split } from './l4-classes.js';
import type { PolicyProgram } from './policy-compiler.js';
import { LINE_WORDS } from './policy-maps.js';
import {
  BlockTooLargeError,
  buildMatrix,
  type MergedRows,
  mergeRow,
  type PolicyMatrix,
  Rows,
} from './policy-matrix.js';
import type { Stores } from './stores.js';

export const HALVES_PER_LINE = 32;
const ROWS_SPARE_MAX = 16;

export interface BlockContext {
  readonly arena: Arena;
  readonly stores: Stores;
  readonly classes: ClassTable;
  readonly l4: L4Classes;
  readonly linesMax: number;
}

/** A policy set as bytes in the arena, for one address that varies or for both. */
export interface Block {
  readonly line: number;
  readonly lines: number;
  /** What a packet of this class finds; undefined: nothing yet. Equal numbers mean equal verdicts. */
  rowOf(classId: number): number | undefined;
  /** The number of what a signature gets; undefined: the block has none like it. */
  rowLike(atoms: readonly number[]): number | undefined;
  /** false: there is no room, another block is needed. */
  addClass(added: AddressClass): boolean;
  /** Gives a class that no packet carries yet what another finds. false: there is no room. */
  setRow(classId: number, row: number): boolean;
  /** Makes a new L4 class behave like the one it is cut from. false: there is no room. */
  splitL4(split: L4Split): boolean;
  free(): void;
}

interface Layout {
  readonly classCapacity: number;
  readonly l4Capacity: number;
  readonly rowCapacity: number;
  readonly columns: number;
  readonly sourceColumns: number;
  readonly cmap: number;
  readonly lmap: number;
  /** 0: none. */
  readonly smap: number;
  readonly cells: number;
  readonly lines: number;
}

/**
 * One policy set as bytes in the arena. What is written never changes, except that classes it had no entry
 * for get one (and a row, while there are spare ones) before any address or page shows them.
 */
export class PolicyBlock implements Block {
  readonly line: number;
  readonly program: PolicyProgram;
  readonly #context: BlockContext;
  readonly #layout: Layout;
  /** Without who is in which row: that is in the arena. */
  readonly #matrix: MergedRows;
  readonly #rowOfKey: Map<string, number>;
  /** Made when first asked for: most blocks never see a signature that is new to them. */
  #rows: Rows | null = null;

  /**
   * Written as a whole, not yet referred to. `as` names classes that are to behave like others.
   * Throws BlockTooLargeError, and TableFullError of the arena.
   */
  constructor(
    program: PolicyProgram,
    context: BlockContext,
    as: ReadonlyMap<number, number> = new Map(),
  ) {
    this.program = program;
    this.#context = context;
    const cellsMax = context.linesMax * LINE_WORDS;
    const matrix = buildMatrix(program, context.classes.all(), cellsMax);
    const { destinations, sources, rows } = matrix;
    this.#matrix = { destinations, sources, rows };
    this.#rowOfKey = matrix.rowOfKey;
    this.#layout = layoutOf(matrix, context);
    if (this.#layout.lines > context.linesMax) {
      throw new BlockTooLargeError(
        `${this.#layout.lines} lines of 64 bytes, at most ${context.linesMax} are allowed`,
      );
    }
    this.line = context.arena.allocate(this.#layout.lines);
    this.#write(matrix, as);
  }

  get lines(): number {
    return this.#layout.lines;
  }

  free(): void {
    this.#context.arena.free(this.line, this.#layout.lines);
  }

  rowOf(classId: number): number | undefined {
    const { words, halves } = this.#context.arena;
    if (classId >= (words[this.#header(MGY_BLK_CLASSES)] ?? 0)) return undefined;
    return halves[this.#half(this.#layout.cmap) + classId];
  }

  rowLike(atoms: readonly number[]): number | undefined {
    const key = this.program.rowKey(atoms);
    const known = this.#rowOfKey.get(key);
    if (known !== undefined) return known;
    const merged = mergeRow(this.program.row(atoms), this.#matrix);
    const row = merged === null ? undefined : this.#interned().find(merged);
    if (row !== undefined) this.#rowOfKey.set(key, row);
    return row;
  }

  addClass({ id, atoms }: AddressClass): boolean {
    const row = this.rowLike(atoms) ?? this.#appendRow(atoms);
    return row !== undefined && this.setRow(id, row);
  }

  setRow(classId: number, row: number): boolean {
    if (classId >= this.#layout.classCapacity) return false;
    const { words, halves } = this.#context.arena;
    const { stores } = this.#context;
    stores.word(halves, this.#half(this.#layout.cmap) + classId, row);
    const classes = this.#header(MGY_BLK_CLASSES);
    if (classId >= (words[classes] ?? 0)) stores.word(words, classes, classId + 1);
    return true;
  }

  splitL4({ made, from }: L4Split): boolean {
    if (made >= this.#layout.l4Capacity) return false;
    const { words, halves } = this.#context.arena;
    const { stores } = this.#context;
    for (const map of [this.#layout.lmap, this.#layout.smap]) {
      if (map !== 0)
        stores.word(halves, this.#half(map) + made, halves[this.#half(map) + from] ?? 0);
    }
    const l4s = this.#header(MGY_BLK_L4S);
    if (made >= (words[l4s] ?? 0)) stores.word(words, l4s, made + 1);
    return true;
  }

  /** Nothing refers to the row yet: only the count is a store that packets may see. */
  #appendRow(atoms: readonly number[]): number | undefined {
    const merged = mergeRow(this.program.row(atoms), this.#matrix);
    const rows = this.#interned();
    if (merged === null || rows.list.length >= this.#layout.rowCapacity) return undefined;
    const row = rows.intern(merged);
    this.#rowOfKey.set(this.program.rowKey(atoms), row);
    this.#writeRow(row, merged);
    this.#context.stores.word(this.#context.arena.words, this.#header(MGY_BLK_ROWS), row + 1);
    return row;
  }

  #interned(): Rows {
    if (this.#rows !== null) return this.#rows;
    this.#rows = new Rows();
    for (const row of this.#matrix.rows) this.#rows.adopt(row);
    return this.#rows;
  }

  #write(matrix: PolicyMatrix, as: ReadonlyMap<number, number>): void {
    const { words, halves } = this.#context.arena;
    const layout = this.#layout;
    let classes = 1;
    for (const [id, row] of matrix.rowOfClass) {
      const like = matrix.rowOfClass.get(as.get(id) ?? id) ?? row;
      halves[this.#half(layout.cmap) + id] = like;
      classes = Math.max(classes, id + 1);
    }
    const l4s = writeColumns(this.program, this.#matrix, {
      context: this.#context,
      lmap: this.#half(layout.lmap),
      smap: layout.smap === 0 ? null : this.#half(layout.smap),
    });
    for (const [i, row] of this.#matrix.rows.entries()) this.#writeRow(i, row);
    const header: readonly (readonly [word: number, value: number])[] = [
      [MGY_BLK_CLASSES, classes],
      [MGY_BLK_L4S, l4s],
      [MGY_BLK_CMAP, layout.cmap],
      [MGY_BLK_LMAP, layout.lmap],
      [MGY_BLK_SMAP, layout.smap],
      [MGY_BLK_CELLS, layout.cells],
      [MGY_BLK_COLS, layout.columns],
      [MGY_BLK_SCOLS, layout.sourceColumns],
      [MGY_BLK_ROWS, this.#matrix.rows.length],
    ];
    for (const [word, value] of header) words[this.#header(word)] = value;
  }

  #writeRow(row: number, cells: Uint32Array): void {
    const first = (this.line + this.#layout.cells) * LINE_WORDS;
    this.#context.arena.words.set(cells, first + row * cells.length);
  }

  #header(word: number): number {
    return this.line * LINE_WORDS + word;
  }

  #half(lines: number): number {
    return (this.line + lines) * HALVES_PER_LINE;
  }
}

function layoutOf(matrix: PolicyMatrix, context: BlockContext): Layout {
  const columns = matrix.destinations.first.length;
  const sourceColumns = matrix.sources.first.length;
  const classCapacity = withHeadRoom(context.classes.span);
  const l4Capacity = withHeadRoom(context.l4.span);
  const rows = matrix.rows.length;
  const rowCapacity = Math.min(65_536, rows + Math.min(ROWS_SPARE_MAX, 1 + (rows >>> 2)));
  const cmap = 1;
  const lmap = cmap + classCapacity / HALVES_PER_LINE;
  const mapLines = l4Capacity / HALVES_PER_LINE;
  const smap = sourceColumns > 1 ? lmap + mapLines : 0;
  const cells = lmap + mapLines * (smap === 0 ? 1 : 2);
  const lines = cells + Math.ceil((rowCapacity * columns * sourceColumns) / LINE_WORDS);
  return {
    ...{ classCapacity, l4Capacity, rowCapacity, columns, sourceColumns },
    ...{ cmap, lmap, smap, cells, lines },
  };
}

/** Writes which column each L4 class has, as a destination and (unless null) as a source; returns how many there are. */
export function writeColumns(
  program: PolicyProgram,
  { destinations, sources }: MergedRows,
  at: { readonly context: BlockContext; readonly lmap: number; readonly smap: number | null },
): number {
  const { halves } = at.context.arena;
  let l4s = 1;
  for (const [id, position] of at.context.l4.all()) {
    halves[at.lmap + id] = destinations.mergedOf[program.destinations.columnAt(position)] ?? 0;
    if (at.smap !== null) {
      halves[at.smap + id] = sources.mergedOf[program.sources.columnAt(position)] ?? 0;
    }
    l4s = Math.max(l4s, id + 1);
  }
  return l4s;
}

/** A quarter more, in whole lines. */
export function withHeadRoom(count: number): number {
  const wanted = Math.min(65_536, Math.max(count + 16, Math.ceil(count * 1.25)));
  return Math.ceil(wanted / HALVES_PER_LINE) * HALVES_PER_LINE;
}
