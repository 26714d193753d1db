/**
 * Calls to an etcd cluster: which member is asked, for how long, and what is sent again. Reads are tried on every
 * member until the time is up; a change is sent again only when it certainly was not done (spec/datastore.md 3).
 */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { Backoff } from '../../base/backoff.js';
import { errorMessage } from '../../base/error.js';
import { closedError, DatastoreError } from '../datastore-error.js';
import { AUTHENTICATE, type Procedure, RANGE } from './api.js';
import { discoverEndpoints } from './discovery.js';
import { Endpoint, type Secrets } from './endpoint.js';
import {
  isBadToken,
  isDistrust,
  isPassing,
  isRpcFailure,
  type RpcFailure,
  toDatastoreError,
  wasNotDone,
} from './rpc-error.js';
import type { EtcdSettings, Pem } from './settings.js';

/** One call, all its attempts together. */
const CALL_TIMEOUT_MS = 10_000;
/** One attempt. A cluster has others to ask, so it is asked for less long. */
const ATTEMPT_TIMEOUT_MS = { single: 5_000, cluster: 2_000 } as const;
/** A member that answered this recently is taken to be well. */
const FRESH_MS = 1_000;
const RETRY = { firstMs: 50, maxMs: 1_000 } as const;

export interface EtcdCallOptions {
  /** Changes something: sent once, unless it certainly was not done. */
  readonly mutates?: boolean;
}

interface WithHeader {
  readonly header?: { readonly clusterId: bigint; readonly revision: bigint } | undefined;
}

export class EtcdClient implements AsyncDisposable {
  readonly #settings: EtcdSettings;
  readonly #endpoints: readonly Endpoint[];
  #current = 0;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #token: Promise<string> | null = null;
  #clusterId = 0n;
  readonly #stop = new AbortController();

  private constructor(settings: EtcdSettings) {
    this.#settings = settings;
    const secrets = secretsOf(settings);
    this.#endpoints = settings.endpoints.map((url) => new Endpoint(url, secrets));
  }

  /**
   * Reads certificates and, where endpoints are to be discovered, asks the name service; connects on first use.
   *
   * @throws DatastoreError ERR_DATASTORE_UNAVAILABLE for certificates that cannot be read, or no endpoints
   */
  static async open(settings: EtcdSettings): Promise<EtcdClient> {
    const { discoverySrv } = settings;
    if (discoverySrv === undefined) return new EtcdClient(settings);
    return new EtcdClient({ ...settings, endpoints: await discoverEndpoints(discoverySrv) });
  }

  /** Aborted by closing. */
  get closed(): AbortSignal {
    return this.#stop.signal;
  }

  /** Of the cluster that answered last; 0 before the first answer. */
  get clusterId(): bigint {
    return this.#clusterId;
  }

  /** @throws DatastoreError */
  async call<I, O>(
    procedure: Procedure<I, O>,
    request: I,
    options: EtcdCallOptions = {},
  ): Promise<O> {
    const { mutates = false } = options;
    // A change goes to a member that is known to answer: on a silent one it would be neither done nor refused.
    if (mutates && performance.now() - this.#answeredAtMs > FRESH_MS) await this.headRevision();
    const deadlineMs = performance.now() + CALL_TIMEOUT_MS;
    const backoff = new Backoff(RETRY);
    for (let attempt = 1; ; attempt += 1) {
      this.#throwIfClosed();
      const endpoint = this.endpoint();
      try {
        return await this.#attempt(endpoint, procedure, request);
      } catch (error) {
        this.#throwIfClosed();
        if (!isRpcFailure(error)) throw error;
        const where = `${endpoint.url} (${procedure.path.slice('/etcdserverpb.'.length)})`;
        if (attempt === 1 && this.#forgetToken(error)) continue;
        this.avoid(endpoint);
        const again = mutates ? wasNotDone(error) : isPassing(error);
        const isHopeless = isDistrust(error) && attempt >= this.#endpoints.length;
        if (!again || isHopeless || performance.now() >= deadlineMs)
          throw toDatastoreError(error, { where, mutates });
        if (attempt % this.#endpoints.length === 0) await this.#pause(backoff.next());
      }
    }
  }

  async #attempt<I, O>(endpoint: Endpoint, procedure: Procedure<I, O>, request: I): Promise<O> {
    const timeoutMs =
      this.#endpoints.length > 1 ? ATTEMPT_TIMEOUT_MS.cluster : ATTEMPT_TIMEOUT_MS.single;
    const token = await this.#login(endpoint, timeoutMs);
    const answer = await endpoint.call(procedure, request, { timeoutMs, token });
    this.#answeredAtMs = performance.now();
    const { header } = answer as WithHeader;
    if (header !== undefined) this.#clusterId = header.clusterId;
    return answer;
  }

  /** The store's newest revision, agreed upon by a quorum. */
  async headRevision(): Promise<bigint> {
    const { header } = await this.call(RANGE, { key: PROBE, countOnly: true });
    return header?.revision ?? 0n;
  }

  /** The member that is asked now. */
  endpoint(): Endpoint {
    const endpoint = this.#endpoints[this.#current];
    if (endpoint === undefined) throw new TypeError('no etcd endpoints');
    return endpoint;
  }

  /** It failed: ask the next one, if it was still the one to ask. */
  avoid(endpoint: Endpoint): void {
    if (this.endpoint() !== endpoint) return;
    this.#current = (this.#current + 1) % this.#endpoints.length;
    this.#answeredAtMs = Number.NEGATIVE_INFINITY;
  }

  /** A stream on the member that is asked now. Whoever opens it cancels it. @throws DatastoreError */
  async stream<I, O>(
    procedure: Procedure<I, O>,
  ): Promise<{ readonly stream: ClientDuplexStream<I, O>; readonly endpoint: Endpoint }> {
    // Opening one is cheap, but on a dead member it would only fail much later.
    await this.headRevision();
    const endpoint = this.endpoint();
    const token = await this.#login(endpoint, ATTEMPT_TIMEOUT_MS.single);
    this.#throwIfClosed();
    return { stream: endpoint.stream(procedure, token), endpoint };
  }

  async #login(endpoint: Endpoint, timeoutMs: number): Promise<string | null> {
    const { username, password } = this.#settings;
    if (username === undefined || password === undefined) return null;
    this.#token ??= endpoint
      .call(AUTHENTICATE, { name: username, password }, { timeoutMs, token: null })
      .then(({ token }) => token);
    try {
      return await this.#token;
    } catch (error) {
      this.#token = null;
      // Credentials for a cluster that asks for none.
      if (isRpcFailure(error) && /authentication is not enabled/.test(error.details)) return null;
      throw error;
    }
  }

  /** A token that ran out: true when another may be had. */
  #forgetToken(failure: RpcFailure): boolean {
    if (this.#token === null || !isBadToken(failure)) return false;
    this.#token = null;
    return true;
  }

  async #pause(delayMs: number): Promise<void> {
    await wait(delayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  #throwIfClosed(): void {
    if (this.#stop.signal.aborted) throw closedError();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    for (const endpoint of this.#endpoints) endpoint.close();
  }
}

/** Below every role that Calico's components have; nothing needs to be there. */
const PROBE = Buffer.from('/calico/resources/v3/projectcalico.org/');

function secretsOf({ ca, certificate, key }: EtcdSettings): Secrets {
  return {
    ca: read('CA certificate', ca),
    key: read('client key', key),
    certificate: read('client certificate', certificate),
  };
}

function read(what: string, pem: Pem | undefined): Buffer | null {
  if (pem === undefined) return null;
  if ('text' in pem) return Buffer.from(pem.text);
  try {
    return readFileSync(pem.file);
  } catch (cause) {
    throw new DatastoreError(
      'ERR_DATASTORE_UNAVAILABLE',
      `${what} ${pem.file}: ${errorMessage(cause)}`,
      { cause },
    );
  }
}
