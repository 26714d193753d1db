/**
 * Changes blocks. Changes of one process to one block that arrive together are written together: a host's workloads
 * start in bursts, and each write of its own would lose the race against all others. Decides the order of writes
 * (handles up, block, handles down) and what to do about lost races; the changes themselves are its callers'.
 */
import type { Cidr } from '../base/net/cidr.js';
import { errorMessage } from '../base/error.js';
import type { Log } from '../base/log.js';
import { isDatastoreError } from '../datastore/datastore-error.js';
import type { Block, Cooldown, HandleCounts } from './block.js';
import type { Handles } from './handle.js';
import { IpamError } from './ipam-error.js';
import { isRace, type IpamStore, type Versioned } from './ipam-store.js';
import { ATTEMPTS_MAX, pauseBefore } from './retry.js';

export interface Changed<T> {
  readonly result: T;
  /** The block is not as it was. */
  readonly changed: boolean;
  /** Handles that have more addresses now. */
  readonly gained?: HandleCounts;
  /** Handles that have fewer. */
  readonly lost?: HandleCounts;
}

export interface BlockChange<T> {
  /**
   * Changes a fresh copy, or throws before it has changed anything. Runs again on another copy after a lost race.
   */
  apply(block: Block): Changed<T>;
  /** There is no such block. */
  missing(): T;
  /** After a write whose outcome is unknown: is its effect in this block? */
  isDone?(block: Block, result: T): boolean;
}

interface Job {
  readonly change: BlockChange<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What a job made of the copy; answered only when the copy has been written. */
interface Applied {
  readonly job: Job;
  readonly outcome: Changed<unknown> | { readonly changed: false; readonly error: unknown };
}

export interface BlockWriterOptions {
  readonly store: IpamStore;
  readonly handles: Handles;
  readonly log: Log;
  /** Read anew for each write. */
  readonly cooldown: () => Promise<Cooldown>;
}

/** Writes of one block at a time hold at most so many changes. */
const JOBS_MAX = 256;

export class BlockWriter {
  readonly #options: BlockWriterOptions;
  /** By CIDR; present while somebody writes that block. */
  readonly #waiting = new Map<string, Job[]>();

  constructor(options: BlockWriterOptions) {
    this.#options = options;
  }

  /** @throws whatever the change throws; IpamError ERR_IPAM_BUSY; DatastoreError */
  change<T>(cidr: Cidr, change: BlockChange<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const job = { change, resolve, reject } as unknown as Job;
      const key = cidr.toString();
      const waiting = this.#waiting.get(key);
      if (waiting !== undefined) {
        waiting.push(job);
        return;
      }
      this.#waiting.set(key, [job]);
      // One turn of the loop later, so that those who ask in this one are taken along.
      setImmediate(() => void this.#drain(cidr));
    });
  }

  async #drain(cidr: Cidr): Promise<void> {
    const key = cidr.toString();
    for (;;) {
      const waiting = this.#waiting.get(key) ?? [];
      if (waiting.length === 0) {
        this.#waiting.delete(key);
        return;
      }
      const jobs = waiting.splice(0, JOBS_MAX);
      try {
        await this.#write(cidr, jobs);
      } catch (error) {
        // Those that were answered already do not notice.
        for (const { reject } of jobs) reject(error);
      }
    }
  }

  async #write(cidr: Cidr, jobs: readonly Job[]): Promise<void> {
    // What handles were counted up by: after a lost race perhaps more than ends up in the block.
    const counted = new Map<string, number>();
    try {
      for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
        await pauseBefore(attempt);
        if (await this.#attempt(cidr, jobs, counted)) return;
      }
      throw new IpamError('ERR_IPAM_BUSY', `block ${cidr}: too many concurrent requests`);
    } catch (error) {
      // A write that may yet happen keeps its counts: too much is repaired by the next release, too little never.
      if (!isDatastoreError(error, 'ERR_DATASTORE_UNAVAILABLE'))
        await this.#subtract(cidr, counted);
      throw error;
    }
  }

  /** False: somebody else was faster. */
  async #attempt(cidr: Cidr, jobs: readonly Job[], counted: Map<string, number>): Promise<boolean> {
    const stored = await this.#options.store.getBlock(cidr);
    if (stored === null) {
      await this.#subtract(cidr, counted);
      for (const { change, resolve } of jobs) resolve(change.missing());
      return true;
    }
    const expired = stored.value.endCooldowns(await this.#options.cooldown());
    const applied = applyAll(stored.value, jobs);
    const changes = applied.flatMap(({ outcome }) => (outcome.changed ? [outcome] : []));
    const gained = sumOf(changes.map((change) => change.gained));
    await this.#count(cidr, counted, gained);
    if ((changes.length > 0 || expired) && !(await this.#put(stored, applied))) return false;
    const lost = changes.map((change) => change.lost);
    await this.#subtract(cidr, sumOf([...lost, excess(counted, gained)]));
    for (const { job, outcome } of applied) {
      if ('error' in outcome) job.reject(outcome.error);
      else job.resolve(outcome.result);
    }
    return true;
  }

  /** Raises what is counted to at least `wanted`. */
  async #count(cidr: Cidr, counted: Map<string, number>, wanted: HandleCounts): Promise<void> {
    const counting = [...wanted].map(async ([handle, count]) => {
      const missing = count - (counted.get(handle) ?? 0);
      if (missing <= 0) return;
      await this.#options.handles.add(handle, `${cidr}`, missing);
      counted.set(handle, count);
    });
    for (const result of await Promise.allSettled(counting)) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  /** False: somebody else was faster. */
  async #put(stored: Versioned<Block>, applied: readonly Applied[]): Promise<boolean> {
    const { store } = this.#options;
    const { value: block, revision } = stored;
    try {
      if (block.isEmpty && block.owner === null) await store.deleteBlock(block.cidr, revision);
      else await store.updateBlock(block, revision);
      return true;
    } catch (error) {
      if (isRace(error)) return false;
      if (!isDatastoreError(error, 'ERR_DATASTORE_UNAVAILABLE')) throw error;
      const now = await store.getBlock(block.cidr);
      const isDone = applied.every(
        ({ job, outcome }) =>
          !outcome.changed || (now !== null && job.change.isDone?.(now.value, outcome.result)),
      );
      if (isDone) return true;
      throw error;
    }
  }

  /** Never fails: a count that is too high is harmless, and there is something better to report. */
  async #subtract(cidr: Cidr, counts: HandleCounts): Promise<void> {
    const { handles, log } = this.#options;
    const subtracting = [...counts].map(([handle, count]) =>
      handles.subtract(handle, `${cidr}`, count),
    );
    for (const result of await Promise.allSettled(subtracting)) {
      if (result.status === 'fulfilled') continue;
      const reason = errorMessage(result.reason);
      log.warn({ block: `${cidr}`, reason }, 'a handle counts too many addresses');
    }
  }
}

/** One after another on the same copy; a change that throws has left it alone. */
function applyAll(block: Block, jobs: readonly Job[]): readonly Applied[] {
  return jobs.map((job) => {
    try {
      return { job, outcome: job.change.apply(block) };
    } catch (error) {
      return { job, outcome: { changed: false, error } };
    }
  });
}

function sumOf(parts: readonly (HandleCounts | undefined)[]): HandleCounts {
  const sum = new Map<string, number>();
  for (const part of parts) {
    for (const [handle, count] of part ?? []) sum.set(handle, (sum.get(handle) ?? 0) + count);
  }
  return sum;
}

function excess(counted: HandleCounts, wanted: HandleCounts): HandleCounts {
  const differences = [...counted].map(
    ([handle, count]) => [handle, count - (wanted.get(handle) ?? 0)] as const,
  );
  return new Map(differences.filter(([, count]) => count > 0));
}
