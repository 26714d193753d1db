/**
 * Numbers for all that contributes addresses: workload endpoints of all hosts, host endpoints, network sets. What the
 * other nodes know of one they keep in columns by its number, since there are hundreds of thousands. Tells each change
 * with the networks before and after, and both are held meanwhile.
 */
import { IntColumn } from '../base/collections/int-column.js';
import { NumberPool } from '../base/collections/number-pool.js';
import { NetTable } from './net-table.js';

export interface NamedPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

/** What one endpoint or network set brings to the sets that it is in, and what selectors see of it. */
export interface Contributor {
  /** Own labels: name, value, name, value. */
  readonly labels: readonly string[];
  /** Names of what it inherits labels from, first wins. */
  readonly profiles: readonly string[];
  /** Masked canonical CIDRs. */
  readonly nets: readonly string[];
  /** Of each address in nets, which then are single addresses. Each once. */
  readonly ports: readonly NamedPort[];
  /** Where a workload's addresses are; '' for what has no place, or none known. */
  readonly node: string;
}

export interface ContributorChange {
  readonly contributor: number;
  /** Null: it goes, and its number will be another's. */
  readonly value: Contributor | null;
  /** Its networks so far, each once. The same list as `after` when they are the same. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const NO_NET = -1;
const SEVERAL = -2;

export class ContributorRegistry {
  readonly nets = new NetTable();
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #pool = new NumberPool();
  readonly #net = new IntColumn(NO_NET);
  /** Of contributors with several. */
  readonly #several = new Map<number, readonly number[]>();
  readonly #onChange: (change: ContributorChange) => void;

  constructor(onChange: (change: ContributorChange) => void) {
    this.#onChange = onChange;
  }

  update(name: string, value: Contributor | null): void {
    let contributor = this.#numbers.get(name);
    if (contributor === undefined) {
      if (value === null) return;
      contributor = this.#pool.take();
      this.#numbers.set(name, contributor);
      this.#names[contributor] = name;
    }
    const before = this.netsOf(contributor);
    const after = this.#held(contributor, before, value?.nets ?? NONE);
    this.#onChange({ contributor, value, before, after });
    if (before !== after) this.#settle(contributor, before, after);
    if (value !== null) return;
    this.#numbers.delete(name);
    this.#names[contributor] = '';
    this.#pool.release(contributor);
  }

  nameOf(contributor: number): string {
    return this.#names[contributor] ?? '';
  }

  netsOf(contributor: number): readonly number[] {
    const net = this.#net.get(contributor);
    if (net === NO_NET) return NONE;
    return net === SEVERAL ? (this.#several.get(contributor) ?? NONE) : [net];
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      contributors: this.#numbers.size,
      contributorsWithSeveralNets: this.#several.size,
      nets: this.nets.size,
    };
  }

  /** `before` if these are the same; else the new ones, which are held now. */
  #held(
    contributor: number,
    before: readonly number[],
    texts: readonly string[],
  ): readonly number[] {
    const isSame =
      texts.length === before.length &&
      before.every((net, index) => this.nets.text(net) === texts[index]);
    if (isSame) return before;
    const after = new Set<number>();
    for (const text of texts) {
      const net = this.nets.numberOf(text);
      this.nets.hold(net, contributor);
      after.add(net);
    }
    return [...after];
  }

  #settle(contributor: number, before: readonly number[], after: readonly number[]): void {
    const kept = new Set(after);
    for (const net of before) if (!kept.has(net)) this.nets.release(net, contributor);
    const [first] = after;
    if (after.length > 1) this.#several.set(contributor, after);
    else this.#several.delete(contributor);
    this.#net.set(contributor, after.length > 1 ? SEVERAL : (first ?? NO_NET));
  }
}

const NONE: readonly never[] = [];
