/**
 * What agents say of themselves, below a lease each: an agent that is gone disappears. Renewing a lease costs the
 * cluster no write, and neither does a status that says nothing new. Beside it are Calico's own liveness keys
 * (spec/datastore.md 2.5), below the same lease. All lies where Calico's roles let an agent write.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { Backoff } from '../../base/backoff.js';
import type { HostStatus } from '../datastore.js';
import {
  DELETE_RANGE,
  LEASE_GRANT,
  LEASE_KEEP_ALIVE,
  LEASE_REVOKE,
  prefixEnd,
  RANGE,
  TXN,
  type TxnRequest,
} from './api.js';
import type { EtcdClient } from './client.js';
import { isRpcFailure, toDatastoreError } from './rpc-error.js';
import { followPrefixes } from './watch.js';

/** No host is called "margay" in the part that Calico reads, which starts with "host/". */
const PREFIX = '/calico/felix/v1/margay/';
const RETRY = { firstMs: 500, maxMs: 10_000 } as const;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
/** A lease is renewed when this part of it is over. */
const RENEW_AFTER = 1 / 3;

interface Lease {
  readonly id: bigint;
  readonly ttlSeconds: bigint;
  renewedAtMs: number;
}

interface Written {
  /** All but the time of writing. */
  readonly text: string;
  readonly leaseId: bigint;
}

export class EtcdHostStatus {
  readonly #client: EtcdClient;
  /** Of the hosts that this process speaks for: one, but in tests. */
  readonly #leases = new Map<string, Lease>();
  readonly #written = new Map<string, Written>();

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  async put(status: HostStatus, ttlMs: number): Promise<void> {
    const { lease, renewed } = await this.#renewedLease(status.host, ttlMs);
    const { updatedAt: _, ...said } = status;
    const text = JSON.stringify(said);
    const before = this.#written.get(status.host);
    const isNews = before?.text !== text || before.leaseId !== lease.id;
    if (!isNews && !renewed) return;
    const puts = [
      ...(isNews ? [put(PREFIX + status.host, status, lease.id)] : []),
      ...(renewed ? livenessPuts(status, lease.id, before === undefined) : []),
    ];
    await this.#client.call(TXN, { success: puts }, { mutates: true });
    this.#written.set(status.host, { text, leaseId: lease.id });
  }

  async delete(host: string): Promise<void> {
    const lease = this.#leases.get(host);
    this.#leases.delete(host);
    this.#written.delete(host);
    await this.#client.call(DELETE_RANGE, { key: Buffer.from(PREFIX + host) }, { mutates: true });
    if (lease) await this.#client.call(LEASE_REVOKE, { id: lease.id }, { mutates: true });
  }

  async list(): Promise<readonly HostStatus[]> {
    const key = Buffer.from(PREFIX);
    const { kvs } = await this.#client.call(RANGE, { key, rangeEnd: prefixEnd(key) });
    return kvs.flatMap(({ value }) => parse(value));
  }

  /** Calls back when a status may have changed, and after each time that changes may have been missed. */
  watch(onChange: () => void, signal: AbortSignal): void {
    void this.#follow(onChange, AbortSignal.any([signal, this.#client.closed]));
  }

  /** Never rejects. */
  async #follow(onChange: () => void, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(RETRY);
    while (!signal.aborted) {
      try {
        const after = await this.#client.headRevision();
        for await (const step of followPrefixes(this.#client, {
          prefixes: [PREFIX],
          after,
          signal,
        })) {
          if (step.type === 'delivered' && !signal.aborted) onChange();
          backoff.reset();
        }
      } catch {
        // Whoever waits looks again now and then; meanwhile there is nothing to tell.
        await wait(backoff.next(), undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  async #renewedLease(
    host: string,
    ttlMs: number,
  ): Promise<{ readonly lease: Lease; readonly renewed: boolean }> {
    const ttlSeconds = BigInt(Math.max(1, Math.ceil(ttlMs / 1000)));
    const held = this.#leases.get(host);
    const nowMs = performance.now();
    if (held?.ttlSeconds === ttlSeconds) {
      if (nowMs - held.renewedAtMs < Number(ttlSeconds) * 1000 * RENEW_AFTER)
        return { lease: held, renewed: false };
      if (await this.#keepAlive(held.id)) {
        held.renewedAtMs = nowMs;
        return { lease: held, renewed: true };
      }
    }
    const { id } = await this.#client.call(LEASE_GRANT, { ttl: ttlSeconds }, { mutates: true });
    const lease = { id, ttlSeconds, renewedAtMs: nowMs };
    this.#leases.set(host, lease);
    return { lease, renewed: true };
  }

  /** @returns false: the lease has run out */
  async #keepAlive(id: bigint): Promise<boolean> {
    const { stream, endpoint } = await this.#client.stream(LEASE_KEEP_ALIVE);
    const cancel = (): void => stream.cancel();
    const timer = setTimeout(cancel, KEEP_ALIVE_TIMEOUT_MS);
    stream.on('error', () => undefined);
    try {
      stream.write({ id });
      for await (const answer of stream as AsyncIterable<{ readonly ttl: bigint }>)
        return answer.ttl > 0n;
      return false;
    } catch (error) {
      if (!isRpcFailure(error)) throw error;
      throw toDatastoreError(error, { where: `${endpoint.url} (LeaseKeepAlive)`, mutates: false });
    } finally {
      clearTimeout(timer);
      cancel();
    }
  }
}

type Op = NonNullable<TxnRequest['success']>[number];

function put(path: string, value: unknown, lease: bigint): Op {
  return {
    put: { key: Buffer.from(path), value: Buffer.from(JSON.stringify(value)), lease },
  };
}

/** As Felix reports: the region-less form of v3.2, the current one, and the report that outlives the host. */
function livenessPuts(status: HostStatus, lease: bigint, isFirst: boolean): readonly Op[] {
  const report = {
    time: status.updatedAt,
    uptime: Math.max(0, (Date.parse(status.updatedAt) - Date.parse(status.startedAt)) / 1000),
    first_update: isFirst,
  };
  return ['/calico/felix/v1/host/', '/calico/felix/v2/no-region/host/'].flatMap((hosts) => [
    put(`${hosts}${status.host}/status`, report, lease),
    put(`${hosts}${status.host}/last_reported_status`, report, 0n),
  ]);
}

/** None for what some other version wrote. */
function parse(value: Uint8Array): readonly HostStatus[] {
  try {
    const status: unknown = JSON.parse(Buffer.from(value).toString());
    const isStatus =
      typeof status === 'object' && status !== null && 'revisionProgrammed' in status;
    return isStatus ? [status as HostStatus] : [];
  } catch {
    return [];
  }
}
