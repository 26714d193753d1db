/**
 * Gives addresses to callers (spec/ipam.md 6, 7.1): from blocks the host owns, then from new ones, then, unless that is
 * forbidden, from those of others. Decides where to look; block-writer.ts decides how it is written.
 */
import { assert } from '../base/assert.js';
import type { Log } from '../base/log.js';
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { formatIp, type Ip, type IpFamily } from '../base/net/ip.js';
import type { Affinities } from './affinity.js';
import type { Block, Holder } from './block.js';
import type { BlockFinder, Search } from './block-finder.js';
import { blockOf } from './block-walk.js';
import type { BlockChange, BlockWriter } from './block-writer.js';
import { IpamError, isIpamError } from './ipam-error.js';
import { type Affinity, found, type IpamStore, type Versioned } from './ipam-store.js';
import { formatOwner, type Owner } from './owner.js';
import {
  choosePools,
  type Pool,
  type PoolUse,
  poolContaining,
  selectsNode,
} from './pool-choice.js';
import { untilUncontended } from './retry.js';
import type { Settings, SettingsReader } from './settings.js';
import { SharedRead } from './shared-read.js';

/** When neither the request nor the configuration says. */
const BLOCKS_MAX = 20;
/** Lists of blocks with room that turned out to have none, before an address is said not to exist. */
const LENDING_ROUNDS_MAX = 10;

export interface AssignRequest extends Holder {
  readonly owner: Owner;
  readonly family: IpFamily;
  readonly count: number;
  readonly use?: PoolUse;
  /** CIDRs or names of pools; default: whatever selects the node. */
  readonly pools?: readonly string[];
  /** Of the workload's namespace, for pools that select by it. */
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  /** Blocks the host may own; default: as configured. */
  readonly maxBlocks?: number;
}

export interface Assignment {
  /** Perhaps fewer than requested: then `shortfall` says why. */
  readonly addresses: readonly Ip[];
  readonly shortfall?: string;
}

export interface AssignIpRequest extends Holder {
  readonly owner: Owner;
  readonly ip: Ip;
  readonly use?: PoolUse;
}

export interface AllocatorOptions {
  readonly store: IpamStore;
  readonly settings: SettingsReader;
  readonly writer: BlockWriter;
  readonly affinities: Affinities;
  readonly finder: BlockFinder;
  readonly log: Log;
}

type Labels = Readonly<Record<string, string>>;

interface OwnedBlock {
  readonly affinity: Versioned<Affinity>;
  readonly cidr: Cidr;
  readonly name: string;
}

/** What came of an attempt to take addresses from a block. */
interface Taken {
  readonly state: 'used' | 'missing' | 'foreign';
  readonly ips: readonly Ip[];
}

/** One request while it is served. */
interface Service {
  readonly request: AssignRequest;
  readonly settings: Settings;
  readonly search: Search & { readonly tried: Set<string> };
  readonly addresses: Ip[];
}

export class Allocator {
  readonly #options: AllocatorOptions;
  readonly #owned = new Map<string, SharedRead<readonly OwnedBlock[]>>();
  readonly #labels = new Map<string, SharedRead<Labels | null>>();
  /** Under way, by owner and pools. */
  readonly #searches = new Map<string, Promise<Cidr | null>>();
  /** By owner and family: the block that last had room. A hint: full blocks need not be read each time. */
  readonly #hints = new Map<string, string>();

  constructor(options: AllocatorOptions) {
    this.#options = options;
  }

  /**
   * Up to `count` addresses.
   *
   * @throws IpamError ERR_IPAM_POOL, ERR_IPAM_REQUEST, ERR_IPAM_BUSY; what was assigned before that stays, and is found
   *   by its handle
   */
  async assign(request: AssignRequest): Promise<Assignment> {
    const settings = await this.#options.settings.read();
    const nodeLabels = await this.#nodeLabels(request.owner);
    const pools = choosePools(settings.pools, {
      family: request.family,
      use: request.use ?? 'Workload',
      wanted: request.pools ?? [],
      node: { name: request.owner.host, labels: nodeLabels },
      namespaceLabels: request.namespaceLabels,
    });
    const { reservations } = settings;
    const search = { owner: request.owner, pools, reservations, tried: new Set<string>() };
    const service = { request, settings, search, addresses: [] };
    const owned = await this.#fromOwnBlocks(service, nodeLabels);
    const stopped = await this.#fromNewBlocks(service, owned);
    if (stopped !== 'limit' && !settings.options.strictAffinity) await this.#fromOthers(service);
    const { addresses } = service;
    if (missing(service) <= 0) return { addresses };
    return { addresses, shortfall: shortfallOf(service, stopped) };
  }

  /** Labels of the Node; a virtual owner has none. @throws IpamError ERR_IPAM_POOL without that Node */
  async #nodeLabels({ type, host }: Owner): Promise<Labels> {
    if (type === 'virtual') return {};
    const labels = await sharedRead(this.#labels, host, () => this.#readLabels(host)).read();
    if (labels !== null) return labels;
    throw new IpamError('ERR_IPAM_POOL', `Node(${host}) does not exist, so no pool selects it`);
  }

  async #readLabels(host: string): Promise<Labels | null> {
    const node = await found(this.#options.store.datastore.get({ kind: 'Node', name: host }));
    return node && (node.value.metadata.labels ?? {});
  }

  /** @returns how many blocks of the family it owns */
  async #fromOwnBlocks(service: Service, nodeLabels: Labels): Promise<number> {
    const { pools, tried } = service.search;
    const owned = await this.#ownedBlocks(service.request);
    const hint = this.#hints.get(hintKey(service.request));
    const hinted = owned.filter(({ name }) => name === hint);
    for (const { affinity, cidr, name } of [
      ...hinted,
      ...owned.filter(({ name }) => name !== hint),
    ]) {
      if (missing(service) <= 0) break;
      if (poolContaining(pools, cidr.address) === undefined) {
        await this.#leaveForeignPool(service, cidr, nodeLabels);
        continue;
      }
      tried.add(name);
      const taken = await this.#useOwned(service, affinity, cidr);
      if (taken === 'stale') await this.#options.affinities.forgetStale(affinity);
    }
    return owned.length;
  }

  /** As the datastore lists them; of one family. */
  async #ownedBlocks({ owner, family }: AssignRequest): Promise<readonly OwnedBlock[]> {
    const read = async (): Promise<readonly OwnedBlock[]> =>
      (await this.#options.store.listAffinities(owner)).map(ownedBlock);
    const all = await sharedRead(this.#owned, formatOwner(owner), read).read();
    return all.filter(({ cidr }) => cidr.family === family);
  }

  async #useOwned(
    service: Service,
    { value: { state } }: Versioned<Affinity>,
    cidr: Cidr,
  ): Promise<'used' | 'stale'> {
    const { owner, reservations } = service.search;
    if (reservations.covers(cidr)) return 'used';
    const isSettled = state === 'confirmed' || state === '';
    if (!isSettled && !(await this.#options.affinities.claim(owner, cidr))) return 'used';
    const taken = await this.#take(service, cidr, { mustOwn: true });
    if (taken === 'foreign') return 'stale';
    if (taken === 'missing' && (await this.#options.affinities.claim(owner, cidr))) {
      await this.#take(service, cidr, { mustOwn: true });
    }
    return 'used';
  }

  /** A block of a pool that no longer selects this node is not kept for nothing. */
  async #leaveForeignPool(
    { request, settings }: Service,
    cidr: Cidr,
    nodeLabels: Labels,
  ): Promise<void> {
    const pool = poolContaining(settings.pools, cidr.address);
    if (pool === undefined || selectsNode(pool, nodeLabels) || request.owner.type === 'virtual')
      return;
    try {
      await this.#options.affinities.giveUp(request.owner, cidr, { mustBeEmpty: true });
    } catch (error) {
      if (!isIpamError(error, 'ERR_IPAM_CONFLICT')) throw error;
    }
  }

  /** @returns why there was no further block, if more was wanted */
  async #fromNewBlocks(service: Service, owned: number): Promise<'limit' | 'none'> {
    const { request, settings, search } = service;
    const { autoAllocateBlocks, maxBlocksPerHost } = settings.options;
    const limits = [request.maxBlocks ?? 0, maxBlocksPerHost].filter((limit) => limit > 0);
    const limit = limits.length > 0 ? Math.min(...limits) : BLOCKS_MAX;
    let count = owned;
    while (missing(service) > 0) {
      if (!autoAllocateBlocks) return 'none';
      if (count >= limit) return 'limit';
      const cidr = await this.#find(search);
      if (cidr === null) return 'none';
      if (!(await this.#options.affinities.claim(request.owner, cidr))) continue;
      search.tried.add(`${cidr}`);
      count += 1;
      await this.#take(service, cidr, { mustOwn: true });
    }
    return 'none';
  }

  /** Requests of one host that run out of room at once look for the same block: one search serves them all. */
  async #find(search: Search): Promise<Cidr | null> {
    const key = `${formatOwner(search.owner)} ${search.pools.map(({ name }) => name).join(' ')}`;
    const shared = await this.#searches.get(key);
    if (shared && !search.tried.has(`${shared}`)) return shared;
    const searching = this.#options.finder.find(search);
    this.#searches.set(key, searching);
    try {
      return await searching;
    } finally {
      if (this.#searches.get(key) === searching) this.#searches.delete(key);
    }
  }

  /** Others take and return meanwhile: what had room when it was listed may have none, and the other way round. */
  async #fromOthers(service: Service): Promise<void> {
    for (let round = 1; round <= LENDING_ROUNDS_MAX; round += 1) {
      if (missing(service) <= 0) return;
      const lenders = await this.#options.finder.lenders(service.search);
      if (lenders.length === 0) return;
      for (const cidr of lenders) {
        if (missing(service) <= 0) return;
        await this.#take(service, cidr, { mustOwn: false });
      }
    }
  }

  async #take(
    service: Service,
    cidr: Cidr,
    { mustOwn }: { readonly mustOwn: boolean },
  ): Promise<Taken['state']> {
    const { request, search, addresses } = service;
    const isReserved = search.reservations.inBlock(cidr);
    const change: BlockChange<Taken> = {
      apply: (block) => {
        if (mustOwn && !block.isOwnedBy(request.owner)) {
          return { result: { state: 'foreign', ips: [] }, changed: false };
        }
        const ordinals = block.take(missing(service), request, isReserved);
        const ips = ordinals.map((ordinal) => block.ipAt(ordinal));
        return {
          result: { state: 'used', ips },
          changed: ips.length > 0,
          gained: gainOf(request, ips.length),
        };
      },
      missing: () => ({ state: 'missing', ips: [] }),
      isDone: (block, { ips }) => ips.every((ip) => isHeldBy(block, ip, request)),
    };
    try {
      const { state, ips } = await this.#options.writer.change(cidr, change);
      addresses.push(...ips);
      if (mustOwn && missing(service) <= 0) this.#hints.set(hintKey(request), `${cidr}`);
      return state;
    } catch (error) {
      if (!isIpamError(error, 'ERR_IPAM_BLOCK')) throw error;
      this.#options.log.warn({ block: `${cidr}`, reason: error.message }, 'a block is not used');
      return 'used';
    }
  }

  /**
   * That address and no other, reserved or not.
   *
   * @throws IpamError ERR_IPAM_POOL, ERR_IPAM_ASSIGNED, ERR_IPAM_AFFINITY, ERR_IPAM_BUSY
   */
  async assignIp(request: AssignIpRequest): Promise<void> {
    const { ip, owner, use } = request;
    const { pools, options } = await this.#options.settings.read();
    const pool = poolContaining(
      pools.filter(({ isUsable }) => isUsable),
      ip,
    );
    checkPool(pool, request);
    const cidr = blockOf(pool, ip);
    await untilUncontended(`assignment of ${formatIp(ip)}`, async () => {
      const change = explicitChange(request, { isStrict: options.strictAffinity });
      while ((await this.#options.writer.change(cidr, change)) === 'missing') {
        // Somebody else's by now: it exists then, and the next round finds it.
        await this.#options.affinities.claim(owner, cidr);
      }
    });
    this.#options.log.debug({ ip: formatIp(ip), use }, 'address assigned');
  }
}

function ownedBlock(affinity: Versioned<Affinity>): OwnedBlock {
  const cidr = parseCidr(affinity.value.cidr);
  assert(cidr !== null, `an affinity's path held ${affinity.value.cidr}`);
  return { affinity, cidr, name: `${cidr}` };
}

function sharedRead<T>(
  reads: Map<string, SharedRead<T>>,
  key: string,
  load: () => Promise<T>,
): SharedRead<T> {
  const known = reads.get(key);
  if (known !== undefined) return known;
  const added = new SharedRead(load);
  reads.set(key, added);
  return added;
}

const hintKey = ({ owner, family }: AssignRequest): string => `${formatOwner(owner)}/${family}`;

const missing = ({ request, addresses }: Service): number => request.count - addresses.length;

function gainOf({ handle }: Holder, count: number): ReadonlyMap<string, number> {
  return new Map(handle === undefined || count === 0 ? [] : [[handle, count]]);
}

/** Only a handle tells our own write from somebody else's. */
function isHeldBy(block: Block, ip: Ip, { handle }: Holder): boolean {
  const ordinal = block.ordinalOf(ip);
  if (handle === undefined || ordinal === null) return false;
  return block.allocationAt(ordinal)?.handle === handle;
}

function shortfallOf({ request, search, settings }: Service, stopped: 'limit' | 'none'): string {
  const names = search.pools.map(({ name }) => name).join(', ');
  const strict = settings.options.strictAffinity ? '; strict affinity forbids borrowing' : '';
  return stopped === 'limit'
    ? `${request.owner.host} owns as many blocks as it may${strict}`
    : `no address is free in ${names}${strict}`;
}

function checkPool(pool: Pool | undefined, { ip, use }: AssignIpRequest): asserts pool is Pool {
  if (pool === undefined) {
    throw new IpamError('ERR_IPAM_POOL', `${formatIp(ip)} is not in a configured and enabled pool`);
  }
  if (use === undefined || pool.spec.allowedUses.includes(use)) return;
  throw new IpamError(
    'ERR_IPAM_POOL',
    `${formatIp(ip)}: pool ${pool.name} is not for the use ${use}`,
  );
}

function explicitChange(
  request: AssignIpRequest,
  { isStrict }: { readonly isStrict: boolean },
): BlockChange<'assigned' | 'missing'> {
  const { ip, owner } = request;
  return {
    apply: (block) => {
      const ordinal = block.ordinalOf(ip);
      assert(ordinal !== null, `${formatIp(ip)} is not in ${block.cidr}`);
      if (isStrict && !block.isOwnedBy(owner)) {
        const theirs = block.owner === null ? 'nobody' : formatOwner(block.owner);
        const reason = `${formatIp(ip)}: block ${block.cidr} belongs to ${theirs}, not ${formatOwner(owner)}`;
        throw new IpamError('ERR_IPAM_AFFINITY', `${reason}, and affinity is strict`);
      }
      if (!block.isFree(ordinal)) {
        const cooling = block.allocationAt(ordinal)?.releasedAt ? ', it is cooling down' : '';
        throw new IpamError('ERR_IPAM_ASSIGNED', `${formatIp(ip)} is already assigned${cooling}`);
      }
      block.takeOrdinal(ordinal, request);
      return { result: 'assigned', changed: true, gained: gainOf(request, 1) };
    },
    missing: () => 'missing',
    isDone: (block) => isHeldBy(block, ip, request),
  };
}
