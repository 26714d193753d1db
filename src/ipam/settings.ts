/** What somebody has configured: pools, reservations, the cluster-wide options (spec/ipam.md 3, 5, 6.7). */
import type { Log } from '../base/log.js';
import type { Datastore, StoredResource } from '../datastore/datastore.js';
import { checkStoredResource } from '../datastore/validate.js';
import type { IPAMConfigurationSpec } from '../model/api/ipam-configuration.js';
import type { IPPool } from '../model/api/ip-pool.js';
import { describeProblem } from '../model/api/problem.js';
import { found } from './ipam-store.js';
import { type Pool, poolOf } from './pool-choice.js';
import { Reservations } from './reservations.js';
import { SharedRead } from './shared-read.js';

export interface IpamOptions {
  /** No borrowing: addresses come from the host's own blocks only. */
  readonly strictAffinity: boolean;
  /** New blocks are claimed as they are needed. */
  readonly autoAllocateBlocks: boolean;
  /** Blocks a host may own in each family; 0: the built-in bound. */
  readonly maxBlocksPerHost: number;
  readonly kubeVirtVMAddressPersistence: 'Enabled' | 'Disabled';
  /** How long a released address is not used again. */
  readonly ipCooldownSeconds: number;
}

export const DEFAULT_OPTIONS: IpamOptions = {
  strictAffinity: false,
  autoAllocateBlocks: true,
  maxBlocksPerHost: 0,
  kubeVirtVMAddressPersistence: 'Enabled',
  ipCooldownSeconds: 0,
};

export const CONFIGURATION_KEY = { kind: 'IPAMConfiguration', name: 'default' } as const;

export interface Settings {
  /** Enabled or not, in order of name. */
  readonly pools: readonly Pool[];
  readonly reservations: Reservations;
  readonly options: IpamOptions;
}

export class SettingsReader {
  readonly #datastore: Datastore;
  readonly #log: Log;
  readonly #shared = new SharedRead(() => this.#load());
  /** By name: parsing a pool costs more than reading it. */
  #pools = new Map<string, { readonly revision: string; readonly pool: Pool | null }>();

  constructor(datastore: Datastore, log: Log) {
    this.#datastore = datastore;
    this.#log = log;
  }

  read(): Promise<Settings> {
    return this.#shared.read();
  }

  async #load(): Promise<Settings> {
    const [pools, reservations, configuration] = await Promise.all([
      this.#datastore.list({ kind: 'IPPool' }),
      this.#datastore.list({ kind: 'IPReservation' }),
      found(this.#datastore.get(CONFIGURATION_KEY)),
    ]);
    return {
      pools: this.#parsePools(pools.items),
      reservations: new Reservations(reservations.items.flatMap(reservedBy)),
      options: { ...DEFAULT_OPTIONS, ...(configuration?.value.spec as IPAMConfigurationSpec) },
    };
  }

  #parsePools(items: readonly StoredResource[]): readonly Pool[] {
    const parsed = items.map((item) => {
      const known = this.#pools.get(item.key.name);
      if (known?.revision === item.revision) return [item.key.name, known] as const;
      return [item.key.name, { revision: item.revision, pool: this.#parsePool(item) }] as const;
    });
    this.#pools = new Map(parsed);
    return parsed.flatMap(([, { pool }]) => pool ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** null: not a pool that anybody could be given an address of. */
  #parsePool({ value, key }: StoredResource): Pool | null {
    const result = checkStoredResource(value);
    if (result.ok) return poolOf(result.value as IPPool);
    const problems = result.problems.map(describeProblem);
    this.#log.warn({ pool: key.name, problems }, 'a pool is invalid and not used');
    return null;
  }
}

function reservedBy({ value }: StoredResource): readonly string[] {
  const { reservedCIDRs } = (value.spec ?? {}) as { readonly reservedCIDRs?: unknown };
  return Array.isArray(reservedCIDRs) ? reservedCIDRs.map(String) : [];
}
