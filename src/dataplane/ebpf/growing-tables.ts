/**
 * The generation in use with what is written into its maps, and the next, larger one when a table is full. Does
 * not decide when a generation's programs go onto interfaces: the driver does, when it is told.
 */
import { errorMessage } from '../../base/error.js';
import { native } from '../../kernel/addon.js';
import { Generation, type GenerationOptions, type TableSizes } from './generation.js';
import { NextHops } from './next-hops.js';
import { type CommitResult, PolicyTables } from './tables/policy-tables.js';
import { TableFullError } from './tables/table-full-error.js';

/** Tables that grow by making a bigger generation; the others are bounded by the ABI. */
const GROWABLE: ReadonlySet<string> = new Set([
  'nodes',
  'nodes6',
  'infos',
  'endpoints',
  'policySets',
  'arena',
]);

/** Beyond this a table is full for good: the largest, of nodes, would take 1 GiB. */
const TABLE_ENTRIES_MAX = 1 << 20;

/** What every generation of a process has in common. */
export type GenerationBase = Omit<GenerationOptions, 'sizes' | 'shared'>;

export interface GrowingTablesOptions {
  readonly base: GenerationBase;
  /** A larger generation is filled and in use here; the one before is disposed of after this. */
  readonly onGrown: () => Promise<void>;
}

type NextHopsOfFamilies = Readonly<Record<4 | 6, NextHops>>;

const nextHopsOf = ({ maps }: Generation): NextHopsOfFamilies => ({
  4: new NextHops(maps.nexthops, 4),
  6: new NextHops(maps.nexthops6, 6),
});

export class GrowingTables implements AsyncDisposable {
  readonly #options: GrowingTablesOptions;
  #generation: Generation;
  #nextHops: NextHopsOfFamilies;
  #tables: PolicyTables;
  #reclaiming: Promise<void> | undefined;
  #reclaimable: { readonly tables: PolicyTables; readonly epoch: number } | undefined;

  /** Owns the generation from now on. */
  constructor(generation: Generation, options: GrowingTablesOptions) {
    this.#options = options;
    this.#generation = generation;
    this.#nextHops = nextHopsOf(generation);
    this.#tables = new PolicyTables(generation.maps, { nextHops: this.#nextHops });
  }

  get generation(): Generation {
    return this.#generation;
  }

  /** Ends what earlier generations left and this one does not want: once its picture is complete. */
  retireUnusedNextHops(): void {
    for (const family of [4, 6] as const) this.#nextHops[family].retireUnused();
  }

  /** Another one after every commit() that had to grow. */
  get tables(): PolicyTables {
    return this.#tables;
  }

  /**
   * Publishes what was recorded; makes a bigger generation when a table is full.
   *
   * @throws TableFullError when that table cannot grow any more.
   */
  async commit(): Promise<CommitResult> {
    for (;;) {
      try {
        const result = this.#tables.commit();
        this.#reclaimLater(result);
        return result;
      } catch (error) {
        await this.#grow(growableOr(error));
      }
    }
  }

  /** The same once more, by programs that look into no old table of connections. */
  async renew(): Promise<void> {
    await this.#advance(this.#generation.sizes);
  }

  async #grow(full: TableFullError): Promise<void> {
    await this.#advance(this.#larger(this.#generation.sizes, full));
  }

  #larger(sizes: TableSizes, full: TableFullError): TableSizes {
    const larger = enlarged(sizes, full);
    const { log } = this.#options.base;
    log.info({ table: full.table, sizes: larger }, 'table full: making a bigger generation');
    return larger;
  }

  /** Maps of these sizes or larger, filled before any program reads them, then put to work in place of the present. */
  async #advance(wanted: TableSizes): Promise<void> {
    const { base, onGrown } = this.#options;
    const old = this.#generation;
    for (let sizes = wanted; ; ) {
      const generation = await Generation.load({ ...base, sizes, shared: old.shared });
      // From here to the end of commit() nothing waits: no update can fall between the two.
      const nextHops = nextHopsOf(generation);
      const tables = this.#tables.successor(generation.maps, { nextHops });
      try {
        tables.commit();
      } catch (error) {
        generation[Symbol.dispose]();
        sizes = this.#larger(sizes, growableOr(error));
        continue;
      }
      generation.inheritPins(old);
      this.#generation = generation;
      this.#nextHops = nextHops;
      this.#tables = tables;
      break;
    }
    await onGrown();
    old[Symbol.dispose]();
  }

  /** What was freed may be used again once no program can hold on to it. One wait at a time. */
  #reclaimLater({ pending, epoch }: CommitResult): void {
    if (!pending) return;
    this.#reclaimable = { tables: this.#tables, epoch };
    this.#reclaiming ??= this.#reclaim().finally(() => {
      this.#reclaiming = undefined;
    });
  }

  async #reclaim(): Promise<void> {
    for (let due = this.#reclaimable; due !== undefined; due = this.#reclaimable) {
      this.#reclaimable = undefined;
      try {
        await native().gracePeriod();
        due.tables.reclaim(due.epoch);
      } catch (error) {
        const { log } = this.#options.base;
        log.warn({ error: errorMessage(error) }, 'freed table space not reclaimed');
        return;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reclaiming;
    this.#generation[Symbol.dispose]();
  }
}

/** Throws what growing does not help against. */
function growableOr(error: unknown): TableFullError {
  if (error instanceof TableFullError && GROWABLE.has(error.table)) return error;
  throw error;
}

/** The full table twice as large. */
function enlarged(sizes: TableSizes, full: TableFullError): TableSizes {
  const key = (full.table === 'arena' ? 'arenaLines' : full.table) as keyof TableSizes;
  const size = sizes[key] * 2;
  if (size > TABLE_ENTRIES_MAX) throw full;
  return { ...sizes, [key]: size };
}
