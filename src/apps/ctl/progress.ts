/** Says what takes so long: nothing in the first second, then one line that is redrawn, or few plain ones. */

const FIRST_AFTER_MS = 1000;
const PLAIN_EVERY_MS = 10_000;

export interface ProgressOptions {
  /** Standard error. */
  readonly write: (text: string) => void;
  /** 'redraw' on a terminal, 'plain' elsewhere, 'none' when nobody wants to know. */
  readonly style: 'redraw' | 'plain' | 'none';
  /** Milliseconds; default performance.now. */
  readonly now?: () => number;
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #startedAt: number;
  #phase = '';
  #plainAt = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#startedAt = this.#now();
  }

  /** Call as often as something happens. */
  update(phase: string, done?: number, total?: number): void {
    const elapsedMs = this.#now() - this.#startedAt;
    if (this.#options.style === 'none' || elapsedMs < FIRST_AFTER_MS) return;
    const count = done === undefined ? '' : ` ${done}${total === undefined ? '' : `/${total}`}`;
    const line = `${phase}${count} (${(elapsedMs / 1000).toFixed(0)} s)`;
    if (this.#options.style === 'redraw') {
      this.#options.write(`\r\x1b[K${line}`);
      this.#drawn = true;
    } else if (phase !== this.#phase || elapsedMs - this.#plainAt >= PLAIN_EVERY_MS) {
      this.#options.write(`${line}\n`);
      this.#plainAt = elapsedMs;
    }
    this.#phase = phase;
  }

  /** Takes the redrawn line away, so that what follows starts on a clean one. */
  end(): void {
    if (this.#drawn) this.#options.write('\r\x1b[K');
    this.#drawn = false;
  }
}
