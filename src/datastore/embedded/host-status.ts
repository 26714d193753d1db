/**
 * What agents say of themselves, with leases. A file of its own: renewals neither wait for the disk, nor hold
 * up commits, nor bump a revision. Leases do not outlive a boot, so the file is named after it and never
 * trusted across a power failure.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { HostStatus } from '../datastore.js';
import { closedError } from '../datastore-error.js';
import type { HostStatusTable } from '../log-store.js';
import { unavailable } from './commit-queue.js';
import { type BinaryRoot, bootId, openEnvironment } from './environment.js';
import { WakeUpFile } from './wake-up.js';

interface Lease {
  readonly expiresAtMs: number;
  readonly status: HostStatus;
}

export class EmbeddedHostStatus implements HostStatusTable, AsyncDisposable {
  readonly #root: BinaryRoot;
  readonly #wakeUp: WakeUpFile;
  readonly #now: () => number;
  #closing: Promise<void> | null = null;

  constructor(options: { readonly path: string; readonly now: () => number }) {
    const name = `status-${bootId()}.mdb`;
    removeEarlierBoots(options.path, name);
    this.#root = openEnvironment(join(options.path, name), { durable: false });
    this.#wakeUp = WakeUpFile.open(join(options.path, 'status.signal'));
    this.#now = options.now;
  }

  put(status: HostStatus, ttlMs: number): void {
    const nowMs = this.#now();
    const lease: Lease = { expiresAtMs: nowMs + ttlMs, status };
    this.#write(() => {
      for (const { key, value } of this.#leases()) {
        if (value.expiresAtMs <= nowMs) this.#root.remove(key);
      }
      this.#root.put(Buffer.from(status.host), Buffer.from(JSON.stringify(lease)));
    });
  }

  delete(host: string): void {
    this.#write(() => {
      this.#root.remove(Buffer.from(host));
    });
  }

  list(): readonly HostStatus[] {
    this.#beginRead();
    const nowMs = this.#now();
    return this.#leases()
      .filter(({ value }) => value.expiresAtMs > nowMs)
      .map(({ value }) => value.status);
  }

  /** A lease that runs out is a change too; nobody signals it, so the poll behind the signal looks for it. */
  onChange(listener: () => void): () => void {
    const fingerprint = (): string =>
      this.list()
        .map(({ host, ...status }) => JSON.stringify([host, status]))
        .join();
    let last = fingerprint();
    return this.#wakeUp.listen(() => {
      if (this.#closing) return;
      const now = fingerprint();
      if (now === last) return;
      last = now;
      listener();
    });
  }

  #leases(): readonly { readonly key: Buffer; readonly value: Lease }[] {
    return [...this.#root.getRange({})].map(({ key, value }) => ({
      key,
      value: JSON.parse(value.toString()) as Lease,
    }));
  }

  #write(body: () => void): void {
    this.#beginRead();
    try {
      // Braces: a body that returned put()'s promise would keep the transaction open past this call.
      this.#root.transactionSync(() => {
        body();
      });
    } catch (error) {
      throw unavailable(error);
    }
    this.#wakeUp.notify();
  }

  #beginRead(): void {
    if (this.#closing) {
      throw closedError();
    }
    this.#root.resetReadTxn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing) return await this.#closing;
    this.#closing = this.#root.close();
    this.#wakeUp.close();
    await this.#closing;
  }
}

function removeEarlierBoots(directory: string, current: string): void {
  const stale = readdirSync(directory).filter(
    (name) => /^status-.*\.mdb(-lock)?$/.test(name) && !name.startsWith(current),
  );
  for (const name of stale) rmSync(join(directory, name), { force: true });
}
