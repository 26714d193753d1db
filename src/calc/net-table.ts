/**
 * The networks that endpoints and sets hold, by number, and who holds each. Nearly all are single addresses with one
 * holder, and there are as many as the cluster has endpoints, so that every byte of one counts.
 */
import { IntColumn } from '../base/collections/int-column.js';
import { NumberPool } from '../base/collections/number-pool.js';

const NOBODY = -1;
const SEVERAL = -2;

export class NetTable {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];
  readonly #pool = new NumberPool();
  readonly #holder = new IntColumn(NOBODY);
  /** Of networks with several. */
  readonly #holders = new Map<number, Set<number>>();
  readonly #pinned = new IntColumn(0);

  get size(): number {
    return this.#numbers.size;
  }

  find(text: string): number | undefined {
    return this.#numbers.get(text);
  }

  /** Not to be kept while networks come or go. */
  all(): Iterable<number> {
    return this.#numbers.values();
  }

  /** A new network is there once it is held or pinned, which its caller sees to. */
  numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const net = this.#pool.take();
    this.#numbers.set(text, net);
    this.#texts[net] = text;
    return net;
  }

  /** Masked canonical text: '10.65.0.2/32'. */
  text(net: number): string {
    return this.#texts[net] ?? '';
  }

  hold(net: number, holder: number): void {
    const only = this.#holder.get(net);
    if (only === holder) return;
    if (only === NOBODY) this.#holder.set(net, holder);
    else if (only === SEVERAL) this.#holders.get(net)?.add(holder);
    else {
      this.#holder.set(net, SEVERAL);
      this.#holders.set(net, new Set([only, holder]));
    }
  }

  release(net: number, holder: number): void {
    const several = this.#holders.get(net);
    if (several === undefined) {
      if (this.#holder.get(net) === holder) this.#holder.set(net, NOBODY);
    } else {
      several.delete(holder);
      if (several.size === 1) {
        this.#holders.delete(net);
        for (const last of several) this.#holder.set(net, last);
      }
    }
    this.#forgetUnused(net);
  }

  /** Not to be kept while networks are held or released. */
  holders(net: number): Iterable<number> {
    const only = this.#holder.get(net);
    if (only === SEVERAL) return this.#holders.get(net) ?? NONE;
    return only === NOBODY ? NONE : [only];
  }

  isShared(net: number): boolean {
    return this.#holder.get(net) === SEVERAL;
  }

  /** Its number is not given to another network until it is unpinned, even if nobody holds it. */
  pin(net: number): void {
    this.#pinned.set(net, 1);
  }

  unpin(net: number): void {
    this.#pinned.set(net, 0);
    this.#forgetUnused(net);
  }

  #forgetUnused(net: number): void {
    if (this.#holder.get(net) !== NOBODY || this.#pinned.get(net) !== 0) return;
    if (!this.#numbers.delete(this.text(net))) return;
    this.#texts[net] = '';
    this.#pool.release(net);
  }
}

const NONE: readonly never[] = [];
