import type { Epochs } from './index-pool.js';
import { LINE_WORDS } from './policy-maps.js';
import { TableFullError } from './table-full-error.js';

interface Extent {
  readonly line: number;
  readonly lines: number;
}

/** Allocator of cache lines: first fit, neighbours joined. Freed lines wait for a grace period. */
export class Arena {
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly lines: number;
  readonly #epochs: Epochs;
  /** By line, never adjacent. */
  #free: Extent[];
  readonly #pending: (Extent & { readonly epoch: number })[] = [];
  #used = 0;

  constructor(view: Uint32Array, epochs: Epochs) {
    this.words = view;
    this.halves = new Uint16Array(view.buffer, view.byteOffset, view.length * 2);
    this.lines = Math.floor(view.length / LINE_WORDS);
    this.#epochs = epochs;
    this.#free = [{ line: 0, lines: this.lines }];
  }

  /** Pending lines included. */
  get used(): number {
    return this.#used;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** The first line of a zeroed extent. Throws TableFullError. */
  allocate(lines: number): number {
    const at = this.#free.findIndex((extent) => extent.lines >= lines);
    const extent = this.#free[at];
    if (extent === undefined) throw new TableFullError('arena', this.lines);
    const rest = { line: extent.line + lines, lines: extent.lines - lines };
    this.#free.splice(at, 1, ...(rest.lines > 0 ? [rest] : []));
    this.#used += lines;
    this.words.fill(0, extent.line * LINE_WORDS, rest.line * LINE_WORDS);
    return extent.line;
  }

  free(line: number, lines: number): void {
    this.#pending.push({ line, lines, epoch: this.#epochs.current });
  }

  reclaim(epoch: number): void {
    const done = this.#pending.findIndex((extent) => extent.epoch > epoch);
    const ready = this.#pending.splice(0, done < 0 ? this.#pending.length : done);
    if (ready.length === 0) return;
    for (const { lines } of ready) this.#used -= lines;
    const joined: Extent[] = [];
    for (const extent of [...this.#free, ...ready].sort((a, b) => a.line - b.line)) {
      const previous = joined.at(-1);
      if (previous !== undefined && previous.line + previous.lines === extent.line) {
        joined[joined.length - 1] = { line: previous.line, lines: previous.lines + extent.lines };
      } else joined.push({ line: extent.line, lines: extent.lines });
    }
    this.#free = joined;
  }
}
