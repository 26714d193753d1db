/** Takes addresses back (spec/ipam.md 7.3). Nothing here is an error because it was done before. */
import { errorMessage } from '../base/error.js';
import type { Log } from '../base/log.js';
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { formatIp, type Ip } from '../base/net/ip.js';
import type { Affinities } from './affinity.js';
import type { Block, Cooldown } from './block.js';
import { blockOf } from './block-walk.js';
import type { BlockChange, BlockWriter } from './block-writer.js';
import type { Handles } from './handle.js';
import { IpamError, isIpamError } from './ipam-error.js';
import { found, type IpamStore } from './ipam-store.js';
import type { Owner } from './owner.js';
import { poolContaining, selectsNode } from './pool-choice.js';
import type { SettingsReader } from './settings.js';

export interface ReleaseRequest {
  readonly ip: Ip;
  /** Only if this handle has it. */
  readonly handle?: string;
  /** Only if nobody has assigned or released it since. */
  readonly sequenceNumber?: bigint;
}

export interface Release {
  readonly released: readonly Ip[];
  readonly notAssigned: readonly Ip[];
}

export interface ReleaserOptions {
  readonly store: IpamStore;
  readonly settings: SettingsReader;
  readonly writer: BlockWriter;
  readonly affinities: Affinities;
  readonly handles: Handles;
  readonly cooldown: () => Promise<Cooldown>;
  readonly log: Log;
}

interface Freed extends Release {
  /** Whom the block, now empty, belongs to. */
  readonly idleOwner: Owner | null;
}

const NOTHING: Freed = { released: [], notAssigned: [], idleOwner: null };

export class Releaser {
  readonly #options: ReleaserOptions;

  constructor(options: ReleaserOptions) {
    this.#options = options;
  }

  /**
   * A mismatch fails all addresses of that block and changes nothing there; other blocks go on.
   *
   * @throws IpamError ERR_IPAM_CONFLICT and others: the first of all blocks' failures, after all have been tried
   */
  async release(requests: readonly ReleaseRequest[]): Promise<Release> {
    const byBlock = new Map<string, { readonly cidr: Cidr; readonly requests: ReleaseRequest[] }>();
    const homeless: Ip[] = [];
    for (const request of requests) {
      const cidr = await this.locate(request.ip);
      if (cidr === null) homeless.push(request.ip);
      else {
        const group = byBlock.get(`${cidr}`) ?? { cidr, requests: [] };
        byBlock.set(`${cidr}`, group);
        group.requests.push(request);
      }
    }
    const results = await Promise.allSettled(
      [...byBlock.values()].map((group) => this.#releaseFrom(group.cidr, group.requests)),
    );
    const releases = results.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    return {
      released: releases.flatMap(({ released }) => released),
      notAssigned: [...homeless, ...releases.flatMap(({ notAssigned }) => notAssigned)],
    };
  }

  /** The block that holds an address; null when there is none. */
  async locate(ip: Ip): Promise<Cidr | null> {
    const { store, settings } = this.#options;
    const pool = poolContaining((await settings.read()).pools, ip);
    const expected = pool && blockOf(pool, ip);
    if (expected && (await store.getBlock(expected)) !== null) return expected;
    // The pool has gone, or came back with blocks of another size.
    const { blocks } = await store.listBlocks();
    return blocks.find(({ value }) => value.cidr.containsIp(ip))?.value.cidr ?? null;
  }

  async #releaseFrom(cidr: Cidr, requests: readonly ReleaseRequest[]): Promise<Release> {
    const cooldown = await this.#options.cooldown();
    const freed = await this.#options.writer.change<Freed>(cidr, {
      apply: (block) => {
        const byOrdinal = new Map(
          requests.map((request) => [block.ordinalOf(request.ip) ?? -1, request]),
        );
        const entries = [...byOrdinal];
        const held = entries.filter(([ordinal]) => isHeld(block, ordinal));
        const others = entries.filter(([ordinal]) => !isHeld(block, ordinal));
        for (const [ordinal, request] of held) checkPreconditions(block, ordinal, request);
        const lost = block.release(
          held.map(([ordinal]) => ordinal),
          cooldown,
        );
        return {
          result: {
            released: held.map(([, { ip }]) => ip),
            notAssigned: others.map(([, { ip }]) => ip),
            idleOwner: block.isEmpty ? block.owner : null,
          },
          changed: held.length > 0,
          lost,
        };
      },
      missing: () => ({ ...NOTHING, notAssigned: requests.map(({ ip }) => ip) }),
    });
    await this.#leaveForeignPool(cidr, freed.idleOwner);
    return freed;
  }

  /**
   * Everything a handle has. A second call finds nothing.
   *
   * @throws IpamError ERR_IPAM_NOT_ASSIGNED when there is no such handle
   */
  async releaseByHandle(handle: string): Promise<readonly Ip[]> {
    const { store, handles } = this.#options;
    const stored = await store.getHandle(handle);
    if (stored === null) {
      throw new IpamError('ERR_IPAM_NOT_ASSIGNED', `handle ${handle} does not exist`);
    }
    const released: Ip[] = [];
    for (const [text, count] of Object.entries(stored.value)) {
      const cidr = parseCidr(text);
      const freed = cidr === null ? NOTHING : await this.#releaseHandle(cidr, handle);
      if (cidr !== null) await this.#leaveForeignPool(cidr, freed.idleOwner);
      released.push(...freed.released);
      // A count that is still there had no address behind it.
      const rest = count - freed.released.length;
      if (rest > 0) await handles.forget(handle, text, rest);
    }
    return released;
  }

  async #releaseHandle(cidr: Cidr, handle: string): Promise<Freed> {
    const cooldown = await this.#options.cooldown();
    const change: BlockChange<Freed> = {
      apply: (block) => {
        const held = block.ordinalsOf(handle);
        const lost = block.release(held, cooldown);
        const released = held.map((ordinal) => block.ipAt(ordinal));
        const idleOwner = block.isEmpty ? block.owner : null;
        return { result: { ...NOTHING, released, idleOwner }, changed: held.length > 0, lost };
      },
      missing: () => NOTHING,
    };
    return await this.#options.writer.change(cidr, change);
  }

  /** An empty block whose pool no longer selects its owner's node is given up. Never fails the release. */
  async #leaveForeignPool(cidr: Cidr, owner: Owner | null): Promise<void> {
    const { store, settings, affinities, log } = this.#options;
    if (owner?.type !== 'host') return;
    const pool = poolContaining((await settings.read()).pools, cidr.address);
    if (pool === undefined || selectsNode(pool, {})) return;
    try {
      const node = await found(store.datastore.get({ kind: 'Node', name: owner.host }));
      if (selectsNode(pool, node?.value.metadata.labels ?? {})) return;
      await affinities.giveUp(owner, cidr, { mustBeEmpty: true });
    } catch (error) {
      if (isIpamError(error, 'ERR_IPAM_CONFLICT')) return;
      log.warn(
        { block: `${cidr}`, reason: errorMessage(error) },
        'an unused block was not given up',
      );
    }
  }
}

const isHeld = (block: Block, ordinal: number): boolean => {
  const allocation = block.allocationAt(ordinal);
  return allocation !== null && allocation.releasedAt === undefined;
};

/** @throws IpamError ERR_IPAM_CONFLICT */
function checkPreconditions(block: Block, ordinal: number, request: ReleaseRequest): void {
  const allocation = block.allocationAt(ordinal);
  const ip = formatIp(request.ip);
  const { handle, sequenceNumber } = request;
  if (handle !== undefined && handle !== allocation?.handle) {
    const holder = allocation?.handle ?? 'no handle';
    throw new IpamError('ERR_IPAM_CONFLICT', `${ip} is held by ${holder}, not by ${handle}`);
  }
  if (sequenceNumber !== undefined && sequenceNumber !== allocation?.sequenceNumber) {
    throw new IpamError(
      'ERR_IPAM_CONFLICT',
      `${ip} has sequence number ${allocation?.sequenceNumber}, wanted ${sequenceNumber}`,
    );
  }
}
