/**
 * Which host owns which block (spec/ipam.md 6.2, 6.3 steps 3 to 5, 7.2). The block decides; the affinity is an index.
 * The order of writes is what makes a crash harmless: affinity pending, block, affinity confirmed; and to give up,
 * affinity pendingDeletion, block, affinity gone.
 */
import type { Cidr } from '../base/net/cidr.js';
import { Block } from './block.js';
import { IpamError } from './ipam-error.js';
import { type Affinity, type IpamStore, isRace, type Versioned } from './ipam-store.js';
import { formatOwner, type Owner } from './owner.js';
import { untilUncontended } from './retry.js';

export interface GiveUpOptions {
  /** Refuse if somebody has an address of it. */
  readonly mustBeEmpty?: boolean;
  /** Refuse if the block has changed since. */
  readonly sequenceNumber?: bigint;
}

export class Affinities {
  readonly #store: IpamStore;
  readonly #now: () => number;
  /** Claims under way: requests of one process that need a block at once need the same one. */
  readonly #claims = new Map<string, Promise<boolean>>();

  constructor(store: IpamStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Makes the block the owner's: creates it, or finishes what an earlier attempt began.
   *
   * @returns false when it belongs to somebody else
   */
  async claim(owner: Owner, cidr: Cidr): Promise<boolean> {
    const what = `claim of ${cidr} for ${formatOwner(owner)}`;
    const underWay = this.#claims.get(what);
    if (underWay !== undefined) return await underWay;
    const claiming = this.#claim(owner, cidr, what);
    this.#claims.set(what, claiming);
    try {
      return await claiming;
    } finally {
      this.#claims.delete(what);
    }
  }

  async #claim(owner: Owner, cidr: Cidr, what: string): Promise<boolean> {
    return await untilUncontended(what, async () => {
      const affinity = await this.#pending(owner, cidr);
      const existing = await this.#store.getBlock(cidr);
      if (existing !== null && !existing.value.isOwnedBy(owner)) {
        await this.#store.deleteAffinity(affinity);
        return false;
      }
      if (existing === null) {
        await this.#store.createBlock(Block.create(cidr, { owner, nowMs: this.#now() }));
      } else if (affinity.value.state === 'pending') {
        // A new revision defeats whoever read the old one to take the block away.
        await this.#store.updateBlock(existing.value, existing.revision);
      }
      await this.#confirm(affinity);
      return true;
    });
  }

  /** The affinity, in a state that says that a block may be missing or somebody else's. */
  async #pending(owner: Owner, cidr: Cidr): Promise<Versioned<Affinity>> {
    const affinity = await this.#store.getAffinity(owner, `${cidr}`);
    if (affinity === null) {
      return await this.#store.createAffinity({ owner, cidr: `${cidr}`, state: 'pending' });
    }
    const isConfirmed = affinity.value.state === 'confirmed' || affinity.value.state === '';
    if (isConfirmed && (await this.#store.getBlock(cidr)) !== null) return affinity;
    return await this.#store.updateAffinity(affinity, 'pending');
  }

  async #confirm(affinity: Versioned<Affinity>): Promise<void> {
    if (affinity.value.state !== 'pending') return;
    await this.#store.updateAffinity(affinity, 'confirmed');
  }

  /** The owner said it has the block, but the block says otherwise: the block is right. */
  async forgetStale(affinity: Versioned<Affinity>): Promise<void> {
    try {
      await this.#store.deleteAffinity(affinity);
    } catch (error) {
      if (!isRace(error)) throw error;
    }
  }

  /**
   * The block becomes nobody's, or goes when nobody has an address of it.
   *
   * @returns false when the owner did not have it
   * @throws IpamError ERR_IPAM_CONFLICT when a precondition does not hold; nothing was changed then
   */
  async giveUp(owner: Owner, cidr: Cidr, options: GiveUpOptions = {}): Promise<boolean> {
    const what = `release of ${cidr} by ${formatOwner(owner)}`;
    return await untilUncontended(what, async () => {
      const affinity = await this.#store.getAffinity(owner, `${cidr}`);
      if (affinity === null) return false;
      const block = await this.#store.getBlock(cidr);
      if (block === null || !block.value.isOwnedBy(owner)) {
        await this.#store.deleteAffinity(affinity);
        return false;
      }
      checkPreconditions(block.value, options);
      const leaving = await this.#store.updateAffinity(affinity, 'pendingDeletion');
      await this.#disown(block);
      // Changed by now: the owner wants the block again, and will find that it is gone.
      await this.forgetStale(leaving);
      return true;
    });
  }

  async #disown({ value: block, revision }: Versioned<Block>): Promise<void> {
    if (block.isEmpty) {
      await this.#store.deleteBlock(block.cidr, revision);
      return;
    }
    block.disown();
    await this.#store.updateBlock(block, revision);
  }
}

function checkPreconditions(block: Block, { mustBeEmpty, sequenceNumber }: GiveUpOptions): void {
  if (sequenceNumber !== undefined && sequenceNumber !== block.sequenceNumber) {
    throw new IpamError(
      'ERR_IPAM_CONFLICT',
      `block ${block.cidr} has sequence number ${block.sequenceNumber}, wanted ${sequenceNumber}`,
    );
  }
  if (mustBeEmpty && !block.isEmpty) {
    throw new IpamError('ERR_IPAM_CONFLICT', `block ${block.cidr} is not empty`);
  }
}
