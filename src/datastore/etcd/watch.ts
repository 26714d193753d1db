/**
 * Follows several prefixes on one stream and survives the loss of streams: each prefix goes on after the last event it
 * delivered, so nothing is missed or repeated. Gives up only when the history is gone, or nobody answers for long.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { Backoff } from '../../base/backoff.js';
import { closedError, DatastoreError, isDatastoreError } from '../datastore-error.js';
import type { LogEntry } from '../log-store.js';
import { EVENT_DELETE, prefixEnd, WATCH, type WatchResponse } from './api.js';
import type { EtcdClient } from './client.js';
import type { Endpoint } from './endpoint.js';
import { isRpcFailure, toDatastoreError } from './rpc-error.js';

/** After this long without an answer the caller should know. */
const GIVE_UP_MS = 30_000;
const CREATED_TIMEOUT_MS = 5_000;
const RETRY = { firstMs: 50, maxMs: 2_000 } as const;

export type WatchStep =
  | { readonly type: 'entry'; readonly entry: LogEntry }
  /** Everything of the first prefix up to this revision was delivered. */
  | { readonly type: 'delivered'; readonly revision: bigint };

export interface WatchOptions {
  /** The first one is needed; one of the others that may not be read is left out. */
  readonly prefixes: readonly string[];
  readonly after: bigint;
  readonly signal: AbortSignal;
  /** A prefix that this user may not read. */
  readonly onDenied?: (prefix: string) => void;
}

interface Followed {
  readonly prefix: string;
  readonly isNeeded: boolean;
  /** Newest revision whose events were all delivered. */
  position: bigint;
}

type Request = Parameters<typeof WATCH.request.encode>[0];
type Stream = ClientDuplexStream<Request, WatchResponse>;

/**
 * Events in the order of the prefix's commits, until aborted: then throws the signal's reason. Across prefixes the
 * order is that of the commits, too, but not while it catches up.
 *
 * @throws DatastoreError ERR_DATASTORE_COMPACTED when `after` is older than the history, or newer than the store;
 *   ERR_DATASTORE_UNAVAILABLE when no member answered for long; ERR_DATASTORE_DENIED
 */
export async function* followPrefixes(
  client: EtcdClient,
  options: WatchOptions,
): AsyncGenerator<WatchStep, never> {
  const { signal } = options;
  const ended = AbortSignal.any([signal, client.closed]);
  const followed: Followed[] = options.prefixes.map((prefix, index) => ({
    prefix,
    isNeeded: index === 0,
    position: options.after,
  }));
  const backoff = new Backoff(RETRY);
  const { clusterId } = client;
  let aliveAtMs = performance.now();
  const onAlive = (): void => {
    aliveAtMs = performance.now();
    backoff.reset();
  };
  for (;;) {
    throwIfEnded(client, signal);
    try {
      const watch = await OneStream.open(client, { ...options, followed, clusterId, ended });
      onAlive();
      yield* watch.steps(onAlive);
    } catch (error) {
      throwIfEnded(client, signal);
      const isLost = isDatastoreError(error, 'ERR_DATASTORE_UNAVAILABLE');
      if (!isLost || performance.now() - aliveAtMs > GIVE_UP_MS) throw error;
      await wait(backoff.next(), undefined, { signal: ended }).catch(() => undefined);
    }
  }
}

function throwIfEnded(client: EtcdClient, signal: AbortSignal): void {
  signal.throwIfAborted();
  if (client.closed.aborted) throw closedError();
}

interface StreamOptions extends WatchOptions {
  readonly followed: Followed[];
  readonly clusterId: bigint;
  readonly ended: AbortSignal;
}

class OneStream {
  readonly #client: EtcdClient;
  readonly #options: StreamOptions;
  readonly #stream: Stream;
  readonly #endpoint: Endpoint;
  /** By the server's number for them. */
  readonly #watching = new Map<bigint, Followed>();
  /** The server answers requests in their order. */
  readonly #requested: Followed[] = [];
  #confirmed = false;

  private constructor(
    client: EtcdClient,
    options: StreamOptions,
    opened: { stream: Stream; endpoint: Endpoint },
  ) {
    this.#client = client;
    this.#options = options;
    this.#stream = opened.stream;
    this.#endpoint = opened.endpoint;
  }

  static async open(client: EtcdClient, options: StreamOptions): Promise<OneStream> {
    const stream = new OneStream(client, options, await client.stream(WATCH));
    for (const followed of options.followed) stream.#request(followed);
    return stream;
  }

  #request(followed: Followed): void {
    const key = Buffer.from(followed.prefix);
    this.#requested.push(followed);
    this.#stream.write({
      create: {
        key,
        rangeEnd: prefixEnd(key),
        startRevision: followed.position + 1n,
        progressNotify: true,
        fragment: true,
      },
    });
  }

  /** Until the stream ends, which it does by throwing. */
  async *steps(onAlive: () => void): AsyncGenerator<WatchStep, void> {
    const { ended } = this.#options;
    const cancel = (): void => this.#stream.cancel();
    ended.addEventListener('abort', cancel);
    if (ended.aborted) cancel();
    const timer = setTimeout(cancel, CREATED_TIMEOUT_MS);
    // What is not read any more may still fail: nobody listens then.
    this.#stream.on('error', () => undefined);
    try {
      for await (const response of this.#stream as AsyncIterable<WatchResponse>) {
        if (ended.aborted) break;
        onAlive();
        if (response.canceled) this.#onCanceled(response);
        else if (response.created) yield* await this.#onCreated(response);
        else yield* this.#entries(response);
        if (this.#requested.length === 0) clearTimeout(timer);
      }
      throw this.#lost('the server ended the watch');
    } catch (error) {
      this.#client.avoid(this.#endpoint);
      if (!isRpcFailure(error)) throw error;
      throw toDatastoreError(error, { where: `${this.#endpoint.url} (Watch)`, mutates: false });
    } finally {
      clearTimeout(timer);
      ended.removeEventListener('abort', cancel);
      this.#stream.cancel();
    }
  }

  async #onCreated({ watchId, header }: WatchResponse): Promise<readonly WatchStep[]> {
    const followed = this.#requested.shift();
    if (followed === undefined) throw this.#lost('the server created a watch nobody asked for');
    this.#watching.set(watchId, followed);
    if (!followed.isNeeded || this.#confirmed) return [];
    this.#confirmed = true;
    const { clusterId } = this.#options;
    if (header !== undefined && clusterId !== 0n && header.clusterId !== clusterId) {
      throw compacted(`cluster ${header.clusterId} is not the one that was followed, ${clusterId}`);
    }
    // A member may be behind; the quorum may not.
    if (header === undefined || header.revision < followed.position) {
      const head = await this.#client.headRevision();
      if (head < followed.position)
        throw compacted(`revision ${followed.position} was never here, the newest is ${head}`);
    }
    return [{ type: 'delivered', revision: followed.position }];
  }

  /** @throws whatever it means; returns when only a prefix that can be missed is gone */
  #onCanceled({ watchId, created, compactRevision, cancelReason }: WatchResponse): void {
    const followed = created ? this.#requested.shift() : this.#watching.get(watchId);
    if (compactRevision > 0n) {
      throw compacted(
        `revision ${followed?.position ?? '?'} is gone, history starts after ${compactRevision - 1n}`,
      );
    }
    if (!/permission denied/.test(cancelReason)) throw this.#lost(cancelReason || 'canceled');
    if (followed === undefined || followed.isNeeded) {
      const prefix = followed?.prefix ?? 'a watch';
      throw new DatastoreError(
        'ERR_DATASTORE_DENIED',
        `${this.#endpoint.url}: ${prefix}: ${cancelReason}`,
      );
    }
    this.#options.followed.splice(this.#options.followed.indexOf(followed), 1);
    this.#options.onDenied?.(followed.prefix);
  }

  *#entries({ watchId, events, fragment, header }: WatchResponse): Generator<WatchStep, void> {
    const followed = this.#watching.get(watchId);
    if (followed === undefined) return;
    let last = 0n;
    for (const { type, kv } of events) {
      if (kv === undefined) continue;
      last = kv.modRevision;
      const path = Buffer.from(kv.key).toString();
      const body = type === EVENT_DELETE ? null : kv.value;
      yield { type: 'entry', entry: { revision: kv.modRevision, path, body } };
    }
    // Without events it says how far this watch has come, though nothing happened here. More of the last revision's
    // events may follow a fragment: should the stream break before, that revision is asked for again.
    const reached = events.length === 0 ? (header?.revision ?? 0n) : fragment ? last - 1n : last;
    if (reached > followed.position) followed.position = reached;
    if (fragment) return;
    const needed = this.#options.followed[0];
    if (needed !== undefined) yield { type: 'delivered', revision: needed.position };
  }

  #lost(reason: string): DatastoreError {
    return new DatastoreError(
      'ERR_DATASTORE_UNAVAILABLE',
      `${this.#endpoint.url} (Watch): ${reason}`,
    );
  }
}

function compacted(detail: string): DatastoreError {
  return new DatastoreError('ERR_DATASTORE_COMPACTED', detail);
}
