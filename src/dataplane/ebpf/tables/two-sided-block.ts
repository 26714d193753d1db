import {
  MGY_BLK_CELLS,
  MGY_BLK_CLASSES,
  MGY_BLK_CMAP,
  MGY_BLK_COLS,
  MGY_BLK_FARS,
  MGY_BLK_L4S,
  MGY_BLK_LMAP,
  MGY_BLK_NEAR,
  MGY_BLK_NEARS,
  MGY_BLK_PAIRS,
  MGY_BLK_ROWS,
  MGY_BLK_SCOLS,
  MGY_BLK_SMAP,
} from '../abi.gen.js';
import type { AddressClass } from './class-table.js';
import type { L4Split } from './l4-classes.js';
import {
  type Block,
  type BlockContext,
  HALVES_PER_LINE,
  withHeadRoom,
  writeColumns,
} from './policy-block.js';
import type { PolicyProgram } from './policy-compiler.js';
import { LINE_WORDS } from './policy-maps.js';
import { BlockTooLargeError, buildPairs, type PairMatrix } from './policy-matrix.js';

/** Where the parts begin, in lines from the header. */
interface Layout {
  readonly classCapacity: number;
  readonly l4Capacity: number;
  readonly columns: number;
  readonly sourceColumns: number;
  readonly near: number;
  readonly cmap: number;
  readonly lmap: number;
  /** 0: none. */
  readonly smap: number;
  readonly pairs: number;
  readonly cells: number;
  readonly lines: number;
}

const NEAR_SHIFT = 16;

/**
 * A policy set of a host endpoint: both addresses of a packet vary, each has a class. What a class finds is a pair of
 * numbers, as the near and as the far address. A class unlike all there are needs another block.
 */
export class TwoSidedBlock implements Block {
  readonly line: number;
  readonly program: PolicyProgram;
  readonly #context: BlockContext;
  readonly #matrix: PairMatrix;
  readonly #layout: Layout;

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
    this.#matrix = buildPairs(program, context.classes.all(), context.linesMax * LINE_WORDS);
    this.#layout = layoutOf(this.#matrix, context);
    if (this.#layout.lines > context.linesMax) {
      throw new BlockTooLargeError(
        `${this.#layout.lines} lines of 64 bytes, at most ${context.linesMax} are allowed`,
      );
    }
    this.line = context.arena.allocate(this.#layout.lines);
    this.#write(as);
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
    const near = halves[this.#half(this.#layout.near) + classId] ?? 0;
    const far = halves[this.#half(this.#layout.cmap) + classId] ?? 0;
    return ((near << NEAR_SHIFT) | far) >>> 0;
  }

  rowLike(atoms: readonly number[]): number | undefined {
    const near = this.#matrix.nears.ofKey.get(this.program.nearKey(atoms));
    const far = this.#matrix.fars.ofKey.get(this.program.rowKey(atoms));
    return near === undefined || far === undefined ? undefined : ((near << NEAR_SHIFT) | far) >>> 0;
  }

  addClass({ id, atoms }: AddressClass): boolean {
    const row = this.rowLike(atoms);
    return row !== undefined && this.setRow(id, row);
  }

  setRow(classId: number, row: number): boolean {
    if (classId >= this.#layout.classCapacity) return false;
    const { words, halves } = this.#context.arena;
    const { stores } = this.#context;
    stores.word(halves, this.#half(this.#layout.near) + classId, row >>> NEAR_SHIFT);
    stores.word(halves, this.#half(this.#layout.cmap) + classId, row & 0xffff);
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

  #write(as: ReadonlyMap<number, number>): void {
    const { words, halves } = this.#context.arena;
    const layout = this.#layout;
    const { nears, fars, pairs, rows } = this.#matrix;
    let classes = 1;
    for (const id of fars.ofClass.keys()) {
      const like = as.get(id) ?? id;
      halves[this.#half(layout.near) + id] = nears.ofClass.get(like) ?? 0;
      halves[this.#half(layout.cmap) + id] = fars.ofClass.get(like) ?? 0;
      classes = Math.max(classes, id + 1);
    }
    const l4s = writeColumns(this.program, this.#matrix, {
      context: this.#context,
      lmap: this.#half(layout.lmap),
      smap: layout.smap === 0 ? null : this.#half(layout.smap),
    });
    halves.set(pairs, this.#half(layout.pairs));
    const cells = (this.line + layout.cells) * LINE_WORDS;
    for (const [i, row] of rows.entries()) words.set(row, cells + i * row.length);
    const header: readonly (readonly [word: number, value: number])[] = [
      [MGY_BLK_CLASSES, classes],
      [MGY_BLK_L4S, l4s],
      [MGY_BLK_CMAP, layout.cmap],
      [MGY_BLK_LMAP, layout.lmap],
      [MGY_BLK_SMAP, layout.smap],
      [MGY_BLK_CELLS, layout.cells],
      [MGY_BLK_COLS, layout.columns],
      [MGY_BLK_SCOLS, layout.sourceColumns],
      [MGY_BLK_ROWS, rows.length],
      [MGY_BLK_NEAR, layout.near],
      [MGY_BLK_PAIRS, layout.pairs],
      [MGY_BLK_FARS, fars.atoms.length],
      [MGY_BLK_NEARS, nears.atoms.length],
    ];
    for (const [word, value] of header) words[this.#header(word)] = value;
  }

  #header(word: number): number {
    return this.line * LINE_WORDS + word;
  }

  #half(lines: number): number {
    return (this.line + lines) * HALVES_PER_LINE;
  }
}

function layoutOf(matrix: PairMatrix, context: BlockContext): Layout {
  const columns = matrix.destinations.first.length;
  const sourceColumns = matrix.sources.first.length;
  const classCapacity = withHeadRoom(context.classes.span);
  const l4Capacity = withHeadRoom(context.l4.span);
  const near = 1;
  const cmap = near + classCapacity / HALVES_PER_LINE;
  const lmap = cmap + classCapacity / HALVES_PER_LINE;
  const mapLines = l4Capacity / HALVES_PER_LINE;
  const smap = sourceColumns > 1 ? lmap + mapLines : 0;
  const pairs = lmap + mapLines * (smap === 0 ? 1 : 2);
  const cells = pairs + Math.ceil(matrix.pairs.length / HALVES_PER_LINE);
  const lines = cells + Math.ceil((matrix.rows.length * columns * sourceColumns) / LINE_WORDS);
  return {
    ...{ classCapacity, l4Capacity, columns, sourceColumns },
    ...{ near, cmap, lmap, smap, pairs, cells, lines },
  };
}
