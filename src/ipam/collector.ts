/**
 * Takes back what nobody uses (spec/ipam.md 12), where no orchestrator's API says who exists: the endpoints are the
 * truth. Opt-in: whoever runs it calls round() now and then, one at a time. An address has to be unused at every round
 * for a grace period, because a container gets its address before its endpoint.
 */
import { type Log, silentLog } from '../base/log.js';
import type { Cidr } from '../base/net/cidr.js';
import { errorMessage } from '../base/error.js';
import { type CheckedAllocation, checkIpam } from './check.js';
import { isIpamError } from './ipam-error.js';
import { found } from './ipam-store.js';
import type { Ipam } from './ipam.js';
import { hostOwner } from './owner.js';

const RELEASES_MAX = 10_000;

export interface CollectorOptions {
  readonly ipam: Ipam;
  /** Milliseconds since some moment; never goes back. */
  readonly monotonic: () => number;
  /** 0: nothing is ever called leaked, but for what a removed node has left. */
  readonly gracePeriodMs: number;
  readonly log?: Log;
}

export interface Collected {
  /** Unused, but not for long enough. */
  readonly candidates: number;
  readonly released: number;
  /** Hosts that are gone and had nothing left. */
  readonly hosts: readonly string[];
  /** Empty blocks that their hosts gave up. */
  readonly blocks: number;
}

const NOTHING: Collected = { candidates: 0, released: 0, hosts: [], blocks: 0 };

export class Collector {
  readonly #ipam: Ipam;
  readonly #monotonic: () => number;
  readonly #gracePeriodMs: number;
  readonly #log: Log;
  /** By address, handle and sequence number: since when. */
  #unusedSince = new Map<string, number>();
  /** By block and sequence number. */
  #emptySince = new Map<string, number>();

  constructor({ ipam, monotonic, gracePeriodMs, log = silentLog }: CollectorOptions) {
    this.#ipam = ipam;
    this.#monotonic = monotonic;
    this.#gracePeriodMs = gracePeriodMs;
    this.#log = log;
  }

  /** @throws DatastoreError; what was not reached is reached by the next round */
  async round(): Promise<Collected> {
    const { datastore } = this.#ipam.store;
    const cluster = await found(datastore.get({ kind: 'ClusterInformation', name: 'default' }));
    const { datastoreReady } = (cluster?.value.spec ?? {}) as { readonly datastoreReady?: unknown };
    // Locked: somebody moves the data.
    if (datastoreReady === false) return NOTHING;
    const { items } = await datastore.list({ kind: 'Node' });
    const nodes = new Set(items.map(({ key }) => key.name));
    const { leaked, allocations } = await checkIpam(this.#ipam);
    const subjects = leaked.filter(isSubject);
    const confirmed = this.#confirm(subjects, nodes);
    const released = await this.#release(confirmed, allocations);
    await this.#ipam.endCooldowns();
    return {
      candidates: subjects.length - confirmed.length,
      released,
      hosts: await this.#removeHosts(nodes),
      blocks: await this.#giveUpEmptyBlocks(),
    };
  }

  /** Unused for long enough, or of a node that is gone. */
  #confirm(
    leaked: readonly CheckedAllocation[],
    nodes: ReadonlySet<string>,
  ): readonly CheckedAllocation[] {
    const now = this.#monotonic();
    const before = this.#unusedSince;
    const since = (entry: CheckedAllocation): number => before.get(identityOf(entry)) ?? now;
    this.#unusedSince = new Map(leaked.map((entry) => [identityOf(entry), since(entry)]));
    return leaked.filter((entry) => {
      const { node = '' } = entry.allocation.attributes;
      if (!nodes.has(node)) return true;
      // A tunnel's address goes with its node: the host itself decides about it until then.
      if (isTunnel(entry) || this.#gracePeriodMs === 0) return false;
      return now - since(entry) >= this.#gracePeriodMs;
    });
  }

  /** Only whole handles: a container with one address in use is alive. */
  async #release(
    confirmed: readonly CheckedAllocation[],
    allocations: readonly CheckedAllocation[],
  ): Promise<number> {
    const known = new Set(confirmed.map(identityOf));
    const alive = new Set(
      allocations
        .filter((entry) => !known.has(identityOf(entry)))
        .map(({ allocation }) => allocation.handle),
    );
    let released = 0;
    for (const { allocation, ip } of confirmed.slice(0, RELEASES_MAX)) {
      const { handle, sequenceNumber } = allocation;
      if (handle === undefined || alive.has(handle)) continue;
      try {
        const request = { ip: allocation.ip, handle, sequenceNumber };
        released += (await this.#ipam.release([request])).released.length;
        this.#log.info(
          { ip, handle, node: allocation.attributes['node'] },
          'leaked address released',
        );
      } catch (error) {
        // In use again, by somebody else.
        if (!isIpamError(error, 'ERR_IPAM_CONFLICT')) throw error;
        this.#log.info({ ip, reason: errorMessage(error) }, 'address is not leaked after all');
      }
    }
    return released;
  }

  /** Of nodes that are gone and hold nothing any more. */
  async #removeHosts(nodes: ReadonlySet<string>): Promise<readonly string[]> {
    const { blocks } = await this.#ipam.store.listBlocks();
    const holding = new Set(
      blocks
        .flatMap(({ value }) => value.allocations())
        .map(({ attributes }) => attributes['node']),
    );
    const affinities = await this.#ipam.store.listAffinities();
    const owners = affinities.map(({ value }) => value.owner).filter(({ type }) => type === 'host');
    const gone = [...new Set(owners.map(({ host }) => host))].filter(
      (host) => !nodes.has(host) && !holding.has(host),
    );
    for (const host of gone) await this.#ipam.releaseHost(host);
    return gone;
  }

  /** Blocks that were empty for a grace period, of hosts that have others. */
  async #giveUpEmptyBlocks(): Promise<number> {
    const now = this.#monotonic();
    const { blocks } = await this.#ipam.store.listBlocks();
    const owned = blocks.map(({ value }) => value).filter(({ owner }) => owner?.type === 'host');
    const counts = new Map<string, number>();
    for (const { owner } of owned) {
      const host = owner?.host ?? '';
      counts.set(host, (counts.get(host) ?? 0) + 1);
    }
    const before = this.#emptySince;
    this.#emptySince = new Map();
    let count = 0;
    for (const block of owned) {
      const host = block.owner?.host ?? '';
      const identity = `${block.cidr} ${block.sequenceNumber}`;
      if (!block.isEmpty) continue;
      const since = before.get(identity) ?? now;
      this.#emptySince.set(identity, since);
      const isIdle = before.has(identity) && now - since >= this.#gracePeriodMs;
      if (!isIdle || this.#gracePeriodMs === 0 || (counts.get(host) ?? 0) < 2) continue;
      if (!(await this.#giveUp(host, block.cidr, block.sequenceNumber))) continue;
      counts.set(host, (counts.get(host) ?? 0) - 1);
      count += 1;
    }
    return count;
  }

  async #giveUp(host: string, cidr: Cidr, sequenceNumber: bigint): Promise<boolean> {
    const options = { mustBeEmpty: true, sequenceNumber };
    try {
      return await this.#ipam.releaseAffinity(hostOwner(host), cidr, options);
    } catch (error) {
      if (isIpamError(error, 'ERR_IPAM_CONFLICT')) return false;
      throw error;
    }
  }
}

/** What has no handle, or does not say where it is, was assigned by hand: by hand it goes. */
const isSubject = ({ allocation: { handle, attributes } }: CheckedAllocation): boolean =>
  handle !== undefined && attributes['node'] !== undefined;

const isTunnel = ({ allocation: { attributes } }: CheckedAllocation): boolean =>
  attributes['type']?.endsWith('TunnelAddress') === true;

const identityOf = ({ ip, allocation: { handle, sequenceNumber } }: CheckedAllocation): string =>
  `${ip} ${handle} ${sequenceNumber}`;
