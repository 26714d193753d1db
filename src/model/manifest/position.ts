/** Where in a file's text a part of an object stands. */
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import type { Path } from '../api/problem.js';

/** Both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

interface Found {
  /** Of the field's name, or of the list's entry. */
  readonly key: number;
  readonly value: number;
}

/** Finds offsets in one document. */
export class Locator {
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;

  constructor(document: Document.Parsed, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  /** Of the value at `path`, or of its field name; where there is none, of the nearest thing around it. */
  locate(path: Path, part: 'key' | 'value'): Position {
    const start = this.#document.contents?.range[0] ?? this.#document.range[0];
    let node: unknown = this.#document.contents;
    let found: Found = { key: start, value: start };
    for (const [i, step] of path.entries()) {
      const next = this.#step(node, step);
      if (next === undefined) return this.position(found.key);
      found = next.found;
      node = next.node;
      if (i === path.length - 1) return this.position(found[part]);
    }
    return this.position(found[part]);
  }

  /** Of an offset into the whole text. */
  position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }

  #step(parent: unknown, step: string | number): { node: unknown; found: Found } | undefined {
    const node = isAlias(parent) ? parent.resolve(this.#document) : parent;
    if (typeof step === 'number') {
      if (!isSeq(node)) return undefined;
      const item = node.items[step];
      const offset = startOf(item);
      return offset === undefined
        ? undefined
        : { node: item, found: { key: offset, value: offset } };
    }
    if (!isMap(node)) return undefined;
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
    const key = startOf(pair?.key);
    if (pair === undefined || key === undefined) return undefined;
    return { node: pair.value, found: { key, value: startOf(pair.value) ?? key } };
  }
}

const startOf = (node: unknown): number | undefined =>
  (node as Node | null | undefined)?.range?.[0];
