/**
 * Handles: in which blocks a caller has addresses, and how many (spec/ipam.md 2.5). Counted up before a block is
 * written and down after, so that they may say too much after a crash, and never too little.
 */
import { type HandleBlocks, type IpamStore, isRace, type Versioned } from './ipam-store.js';
import { untilUncontended } from './retry.js';

export class Handles {
  readonly #store: IpamStore;

  constructor(store: IpamStore) {
    this.#store = store;
  }

  /** @throws IpamError ERR_IPAM_BUSY, ERR_IPAM_REQUEST; DatastoreError, then the outcome may be unknown */
  async add(handle: string, cidr: string, count: number): Promise<void> {
    try {
      // Nearly always new: a container's first address is its only one.
      await this.#store.createHandle(handle, { [cidr]: count });
      return;
    } catch (error) {
      if (!isRace(error)) throw error;
    }
    await this.#change(handle, cidr, count);
  }

  /** Below zero is zero; a handle without blocks goes. */
  async subtract(handle: string, cidr: string, count: number): Promise<void> {
    await this.#change(handle, cidr, -count);
  }

  /** Whatever is left of a count that was too high, unless somebody has counted meanwhile. */
  async forget(handle: string, cidr: string, wrong: number): Promise<void> {
    await untilUncontended(`handle ${handle}`, async () => {
      const stored = await this.#store.getHandle(handle);
      if (stored?.value[cidr] === wrong) await this.#replace(handle, withCount(stored, cidr, 0));
    });
  }

  async #change(handle: string, cidr: string, by: number): Promise<void> {
    await untilUncontended(`handle ${handle}`, async () => {
      const stored = await this.#store.getHandle(handle);
      if (stored === null) {
        if (by > 0) await this.#store.createHandle(handle, { [cidr]: by });
        return;
      }
      const count = (stored.value[cidr] ?? 0) + by;
      await this.#replace(handle, withCount(stored, cidr, count));
    });
  }

  async #replace(handle: string, { value, revision }: Versioned<HandleBlocks>): Promise<void> {
    if (Object.keys(value).length === 0) await this.#store.deleteHandle(handle, revision);
    else await this.#store.updateHandle(handle, value, revision);
  }
}

function withCount(
  { value, revision }: Versioned<HandleBlocks>,
  cidr: string,
  count: number,
): Versioned<HandleBlocks> {
  const { [cidr]: _, ...others } = value;
  return { value: count > 0 ? { ...others, [cidr]: count } : others, revision };
}
