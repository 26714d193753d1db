/** Address management on a datastore: the parts, put together. Correct with any number of these at once, anywhere. */
import { type Log, silentLog } from '../base/log.js';
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { formatIp, type Ip } from '../base/net/ip.js';
import type { Datastore } from '../datastore/datastore.js';
import { Affinities, type GiveUpOptions } from './affinity.js';
import {
  Allocator,
  type Assignment,
  type AssignIpRequest,
  type AssignRequest,
} from './allocator.js';
import type { Allocation, Cooldown } from './block.js';
import { BlockFinder } from './block-finder.js';
import { blockCount, walkBlocks } from './block-walk.js';
import { BlockWriter } from './block-writer.js';
import { Handles } from './handle.js';
import { IpamError } from './ipam-error.js';
import { found, IpamStore } from './ipam-store.js';
import { hostOwner, type Owner } from './owner.js';
import { poolContaining } from './pool-choice.js';
import { type Release, Releaser, type ReleaseRequest } from './releaser.js';
import { type Settings, SettingsReader } from './settings.js';

export interface IpamParts {
  /** Milliseconds since 1970; default: the system's clock. */
  readonly now?: () => number;
  readonly log?: Log;
}

export class Ipam {
  readonly store: IpamStore;
  readonly affinities: Affinities;
  readonly #settings: SettingsReader;
  readonly #allocator: Allocator;
  readonly #releaser: Releaser;
  readonly #writer: BlockWriter;

  constructor(datastore: Datastore, { now = Date.now, log = silentLog }: IpamParts = {}) {
    const store = new IpamStore(datastore);
    const settings = new SettingsReader(datastore, log);
    const affinities = new Affinities(store, now);
    const handles = new Handles(store);
    const cooldown = async (): Promise<Cooldown> => {
      const { options } = await settings.read();
      return { nowMs: now(), cooldownS: options.ipCooldownSeconds };
    };
    const writer = new BlockWriter({ store, handles, log, cooldown });
    const finder = new BlockFinder({ store, affinities, now });
    this.store = store;
    this.affinities = affinities;
    this.#settings = settings;
    this.#writer = writer;
    this.#allocator = new Allocator({ store, settings, writer, affinities, finder, log });
    this.#releaser = new Releaser({ store, settings, writer, affinities, handles, cooldown, log });
  }

  settings(): Promise<Settings> {
    return this.#settings.read();
  }

  /** See Allocator.assign. */
  assign(request: AssignRequest): Promise<Assignment> {
    return this.#allocator.assign(request);
  }

  /** See Allocator.assignIp. */
  assignIp(request: AssignIpRequest): Promise<void> {
    return this.#allocator.assignIp(request);
  }

  /** See Releaser.release. */
  release(requests: readonly ReleaseRequest[]): Promise<Release> {
    return this.#releaser.release(requests);
  }

  /** See Releaser.releaseByHandle. */
  releaseByHandle(handle: string): Promise<readonly Ip[]> {
    return this.#releaser.releaseByHandle(handle);
  }

  /** See Affinities.giveUp. */
  releaseAffinity(owner: Owner, cidr: Cidr, options?: GiveUpOptions): Promise<boolean> {
    return this.affinities.giveUp(owner, cidr, options);
  }

  /** What is known of an address; null when nobody has it. */
  async allocationOf(ip: Ip): Promise<Allocation | null> {
    const cidr = await this.#releaser.locate(ip);
    const block = cidr && (await this.store.getBlock(cidr));
    const ordinal = block?.value.ordinalOf(ip) ?? null;
    return ordinal === null ? null : (block?.value.allocationAt(ordinal) ?? null);
  }

  /** In all blocks that the handle names. @throws IpamError ERR_IPAM_NOT_ASSIGNED without such a handle */
  async allocationsOf(handle: string): Promise<readonly Allocation[]> {
    const stored = await this.store.getHandle(handle);
    if (stored === null) {
      throw new IpamError('ERR_IPAM_NOT_ASSIGNED', `handle ${handle} does not exist`);
    }
    const cidrs = Object.keys(stored.value).flatMap((text) => parseCidr(text) ?? []);
    const blocks = await Promise.all(cidrs.map((cidr) => this.store.getBlock(cidr)));
    return blocks.flatMap(
      (block) => block?.value.allocations().filter((entry) => entry.handle === handle) ?? [],
    );
  }

  /**
   * Claims blocks by hand, whether or not blocks are claimed automatically.
   *
   * @throws IpamError ERR_IPAM_REQUEST, ERR_IPAM_POOL
   */
  async claimRange(
    owner: Owner,
    range: Cidr,
  ): Promise<{ readonly claimed: readonly Cidr[]; readonly failed: readonly Cidr[] }> {
    const { pools } = await this.settings();
    const pool = poolContaining(pools, range.address);
    if (pool === undefined || !pool.isUsable) {
      throw new IpamError('ERR_IPAM_POOL', `${formatIp(range.address)} is in no enabled pool`);
    }
    const blocks = { cidr: range.masked(), blockSize: pool.blockSize };
    if (blockCount(blocks) === 0n) {
      const reason = `is smaller than the minimum, a block of /${pool.blockSize}`;
      throw new IpamError('ERR_IPAM_REQUEST', `${range} ${reason}`);
    }
    const claimed: Cidr[] = [];
    const failed: Cidr[] = [];
    for (const cidr of walkBlocks(blocks, owner.host)) {
      const isOurs = await this.affinities.claim(owner, cidr);
      (isOurs ? claimed : failed).push(cidr);
    }
    return { claimed, failed };
  }

  /** Before a pool goes: nobody owns a block of it any more. Addresses in use stay, and take their block with them. */
  async releasePool(range: Cidr): Promise<void> {
    await this.#giveUpAll((cidr) => range.containsIp(cidr.address));
  }

  /** After a host has gone. Its addresses are not released by this. */
  async releaseHost(host: string): Promise<void> {
    await this.#giveUpAll(() => true, hostOwner(host));
    const key = { kind: 'IPAMHost', name: host };
    const record = await found(this.store.datastore.get(key));
    if (record !== null) await this.store.datastore.delete(key, { revision: record.revision });
  }

  /** The first failure is thrown after all have been tried. */
  async #giveUpAll(isWanted: (cidr: Cidr) => boolean, owner?: Owner): Promise<void> {
    const failures: unknown[] = [];
    for (const { value } of await this.store.listAffinities(owner)) {
      const cidr = parseCidr(value.cidr);
      if (cidr === null || !isWanted(cidr)) continue;
      await this.affinities
        .giveUp(value.owner, cidr)
        .catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Frees what has cooled down in blocks that nobody changes. */
  async endCooldowns(): Promise<void> {
    const { blocks } = await this.store.listBlocks();
    for (const { value } of blocks) {
      if (!value.allocations().some(({ releasedAt }) => releasedAt !== undefined)) continue;
      const change = { apply: () => ({ result: null, changed: false }), missing: () => null };
      await this.#writer.change(value.cidr, change);
    }
  }
}
