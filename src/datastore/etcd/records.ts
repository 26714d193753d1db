/** Paths and bytes in etcd: the transactions of spec/datastore.md 3, and lists in pages at one revision. */
import { isDatastoreError } from '../datastore-error.js';
import type { StoredBytes } from '../stored-record.js';
import {
  type KeyValue,
  prefixEnd,
  RANGE,
  TARGET_MOD_REVISION,
  TARGET_VERSION,
  TXN,
  type TxnRequest,
  type TxnResponse,
} from './api.js';
import type { EtcdClient } from './client.js';

/** A page is wanted to be about this large, whatever the size of objects. */
const PAGE_BYTES = 4 << 20;
const PAGE_FIRST = 500;
const PAGE_MAX = 4_000;
/** A list that the history overtakes starts anew. */
const LIST_ATTEMPTS_MAX = 3;

export interface Outcome {
  readonly done: boolean;
  /** Of the store: of this change, if it was done. */
  readonly revision: bigint;
  /** What stands in the way. */
  readonly existing: StoredBytes | undefined;
}

export interface ListVisitor {
  readonly visit: (record: StoredBytes) => void;
  /** Without it a prefix that may not be read fails the list; with it only the first one does. */
  readonly onDenied?: (prefix: string) => void;
}

export class EtcdRecords {
  readonly #client: EtcdClient;

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  /** What is stored under the first of the paths that exists, all read at one revision. */
  async first(paths: readonly string[]): Promise<StoredBytes | undefined> {
    const [path, ...others] = paths;
    if (path === undefined) return undefined;
    if (others.length === 0) {
      const { kvs } = await this.#client.call(RANGE, { key: Buffer.from(path) });
      return kvs[0] && toRecord(kvs[0]);
    }
    const { responses } = await this.#client.call(TXN, { success: reads(paths) });
    return firstOf(responses);
  }

  /** Only if nothing is under any of the paths `absent`, of which `path` is one. */
  async create(
    path: string,
    { body, absent }: { readonly body: Uint8Array; readonly absent: readonly string[] },
  ): Promise<Outcome> {
    return await this.#change({
      compare: absent.map((name) => ({
        target: TARGET_VERSION,
        key: Buffer.from(name),
        version: 0n,
      })),
      success: [{ put: { key: Buffer.from(path), value: body } }],
      failure: reads(absent),
    });
  }

  /** Only if its revision is the wanted one. */
  async update(
    path: string,
    { body, wanted }: { readonly body: Uint8Array; readonly wanted: bigint },
  ): Promise<Outcome> {
    return await this.#change({
      compare: [unchanged(path, wanted)],
      success: [{ put: { key: Buffer.from(path), value: body } }],
      failure: reads([path]),
    });
  }

  /** Only if its revision is the wanted one. */
  async delete(path: string, wanted: bigint): Promise<Outcome> {
    return await this.#change({
      compare: [unchanged(path, wanted)],
      success: [{ delete: { key: Buffer.from(path) } }],
      failure: reads([path]),
    });
  }

  async #change(request: TxnRequest): Promise<Outcome> {
    const { header, succeeded, responses } = await this.#client.call(TXN, request, {
      mutates: true,
    });
    return {
      done: succeeded,
      revision: header?.revision ?? 0n,
      existing: succeeded ? undefined : firstOf(responses),
    };
  }

  /** Everything below the prefixes, in byte order of each, at the one revision returned. */
  async list(prefixes: readonly string[], visitor: ListVisitor): Promise<bigint> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#listOnce(prefixes, visitor);
      } catch (error) {
        const isOvertaken = isDatastoreError(error, 'ERR_DATASTORE_COMPACTED');
        if (!isOvertaken || attempt === LIST_ATTEMPTS_MAX) throw error;
      }
    }
  }

  async #listOnce(prefixes: readonly string[], visitor: ListVisitor): Promise<bigint> {
    const records: StoredBytes[] = [];
    let revision = 0n;
    for (const [index, prefix] of prefixes.entries()) {
      try {
        revision = await this.#page(prefix, {
          revision,
          visit: (kv) => records.push(toRecord(kv)),
        });
      } catch (error) {
        const isOptional = index > 0 && visitor.onDenied !== undefined;
        if (!isOptional || !isDatastoreError(error, 'ERR_DATASTORE_DENIED')) throw error;
        visitor.onDenied?.(prefix);
      }
    }
    for (const record of records) visitor.visit(record);
    return revision;
  }

  /** @param revision 0: now */
  async #page(
    prefix: string,
    { revision, visit }: { readonly revision: bigint; readonly visit: (kv: KeyValue) => void },
  ): Promise<bigint> {
    let key: Uint8Array = Buffer.from(prefix);
    const rangeEnd = prefixEnd(key);
    let at = revision;
    let limit = PAGE_FIRST;
    for (;;) {
      const answer = await this.#client.call(RANGE, {
        key,
        rangeEnd,
        limit: BigInt(limit),
        revision: at,
      });
      if (at === 0n) at = answer.header?.revision ?? 0n;
      let bytes = 0;
      for (const kv of answer.kvs) {
        bytes += kv.value.length;
        visit(kv);
      }
      const last = answer.kvs.at(-1);
      if (!answer.more || last === undefined) return at;
      key = Buffer.concat([last.key, ZERO]);
      limit = fittingLimit(bytes / answer.kvs.length);
    }
  }
}

/** The smallest key behind another is that one and a zero. */
const ZERO = Buffer.from([0]);

function fittingLimit(bytesEach: number): number {
  return Math.max(1, Math.min(PAGE_MAX, Math.floor(PAGE_BYTES / Math.max(1, bytesEach))));
}

type Compare = NonNullable<TxnRequest['compare']>[number];
type Op = NonNullable<TxnRequest['success']>[number];

const unchanged = (path: string, revision: bigint): Compare => ({
  target: TARGET_MOD_REVISION,
  key: Buffer.from(path),
  modRevision: revision,
});

const reads = (paths: readonly string[]): readonly Op[] =>
  paths.map((path) => ({ range: { key: Buffer.from(path) } }));

function firstOf(responses: TxnResponse['responses']): StoredBytes | undefined {
  for (const { range } of responses) {
    const kv = range?.kvs[0];
    if (kv) return toRecord(kv);
  }
  return undefined;
}

const toRecord = ({ key, value, modRevision }: KeyValue): StoredBytes => ({
  path: Buffer.from(key.buffer, key.byteOffset, key.length).toString(),
  body: value,
  revision: modRevision,
});
