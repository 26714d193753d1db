import { assert } from './assert.js';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Each delay is this many times the one before. Default 2. */
  readonly factor?: number;
  /** Up to this part of a delay is taken off at random, so that hosts do not return in step. Default 0.2. */
  readonly jitter?: number;
  /** From 0 up to 1. Default: Math.random. */
  readonly random?: () => number;
}

/** How long to wait before trying again. */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  #baseMs: number;

  constructor(options: BackoffOptions) {
    this.#options = { factor: 2, jitter: 0.2, random: Math.random, ...options };
    const { firstMs, maxMs, factor, jitter } = this.#options;
    assert(firstMs > 0 && maxMs >= firstMs, `backoff from ${firstMs} to ${maxMs} ms`);
    assert(factor >= 1 && jitter >= 0 && jitter < 1, `backoff by ${factor}, jitter ${jitter}`);
    this.#baseMs = firstMs;
  }

  /** The next delay in milliseconds: longer each time, up to maxMs. */
  next(): number {
    const { factor, jitter, maxMs, random } = this.#options;
    const delayMs = this.#baseMs * (1 - jitter * random());
    this.#baseMs = Math.min(maxMs, this.#baseMs * factor);
    return delayMs;
  }

  /** It worked: the next failure starts from firstMs. */
  reset(): void {
    this.#baseMs = this.#options.firstMs;
  }
}
