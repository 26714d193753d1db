/** A file of JSON lines that grows: written in batches, opened by name each time, so that it may be moved away. */
import { appendFile, rename, stat } from 'node:fs/promises';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode, errorMessage } from '../base/error.js';
import type { Log } from '../base/log.js';

/** Then it is renamed to .1, the one before to .2 and so on (spec/metrics.md 6.6). */
const BYTES_MAX = 50 << 20;
const KEPT = 5;
/** Lines that wait for the disk; beyond that new ones are dropped and counted. */
const WAITING_MAX = 10_000;

export class JsonLinesFile implements AsyncDisposable {
  readonly #path: string;
  readonly #log: Log;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;
  #dropped = 0;
  errors = 0;

  /** Makes the directory. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  }

  write(value: unknown): void {
    if (this.#waiting.length >= WAITING_MAX) this.#dropped++;
    else this.#waiting.push(`${JSON.stringify(value)}\n`);
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  async #drain(): Promise<void> {
    // A turn of the loop gathers what comes at once.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        await this.#rotate();
        await appendFile(this.#path, lines.join(''), { mode: 0o644 });
      } catch (error) {
        this.errors++;
        this.#log.warn({ path: this.#path, error: errorMessage(error) }, 'lines not written');
      }
      if (this.#dropped === 0) continue;
      this.#log.warn({ path: this.#path, dropped: this.#dropped }, 'file is too slow');
      this.#dropped = 0;
    }
  }

  async #rotate(): Promise<void> {
    const size = await sizeOf(this.#path);
    if (size < BYTES_MAX) return;
    const numbered = (i: number): string => (i === 0 ? this.#path : `${this.#path}.${i}`);
    for (let i = KEPT - 1; i >= 0; i--) {
      if ((await sizeOf(numbered(i))) >= 0) await rename(numbered(i), numbered(i + 1));
    }
  }

  /** What was written is in the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }
}

/** -1: there is none. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return -1;
    throw error;
  }
}
