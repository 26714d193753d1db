import { mgyInfo } from '../abi.gen.js';
import type { IndexPool } from './index-pool.js';
import { INFO_WORDS } from './policy-maps.js';

/** What is known of an address besides its class. */
export interface AddressFacts {
  /** INFO_* */
  readonly flags: number;
  readonly ifindex: number;
  readonly endpoint: number;
  readonly nextHop: number;
  /** Of the host it lives on, in network order; absent: it lives here, or nobody knows. */
  readonly hostWord?: number;
  /** Six bytes; absent: zero. */
  readonly mac?: readonly number[];
}

export const NO_FACTS: AddressFacts = { flags: 0, ifindex: 0, endpoint: 0, nextHop: 0 };

export function sameFacts(a: AddressFacts, b: AddressFacts): boolean {
  return a === b || factsKey(a) === factsKey(b);
}

function factsKey(facts: AddressFacts): string {
  const { flags, ifindex, endpoint, nextHop, hostWord = 0, mac } = facts;
  return `${flags}|${ifindex}|${endpoint}|${nextHop}|${hostWord}|${mac?.join(':') ?? ''}`;
}

interface InfoRecord {
  readonly key: string;
  readonly classId: number;
  readonly facts: AddressFacts;
  references: number;
}

/**
 * Interned records of mgy_info: written once, before an address gets them, and never changed. Record 0 is
 * the unknown address: class 0, no facts.
 */
export class InfoTable {
  readonly #view: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #pool: IndexPool;
  readonly #onClassReleased: (classId: number) => void;
  readonly #byKey = new Map<string, number>();
  readonly #records = new Map<number, InfoRecord>();

  /** The pool must have index 0 reserved. The callback hears of each record that held a class. */
  constructor(view: Uint32Array, pool: IndexPool, onClassReleased: (classId: number) => void) {
    this.#view = view;
    this.#bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    this.#pool = pool;
    this.#onClassReleased = onClassReleased;
  }

  classOf(index: number): number {
    return this.#records.get(index)?.classId ?? 0;
  }

  factsOf(index: number): AddressFacts {
    return this.#records.get(index)?.facts ?? NO_FACTS;
  }

  /** One more reference to the record. A new record takes over the caller's reference to the class. */
  acquire(
    classId: number,
    facts: AddressFacts,
  ): { readonly index: number; readonly made: boolean } {
    const key = `${classId}|${factsKey(facts)}`;
    if (classId === 0 && key === `0|${factsKey(NO_FACTS)}`) return { index: 0, made: false };
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      this.retain(known);
      return { index: known, made: false };
    }
    const index = this.#pool.allocate();
    this.#byKey.set(key, index);
    this.#records.set(index, { key, classId, facts, references: 1 });
    this.#write(index, classId, facts);
    return { index, made: true };
  }

  retain(index: number): void {
    const record = this.#records.get(index);
    if (record !== undefined) record.references++;
  }

  release(index: number): void {
    const record = this.#records.get(index);
    if (record === undefined || --record.references > 0) return;
    this.#records.delete(index);
    this.#byKey.delete(record.key);
    this.#pool.free(index);
    this.#onClassReleased(record.classId);
  }

  #write(index: number, classId: number, facts: AddressFacts): void {
    const first = index * INFO_WORDS;
    this.#view.fill(0, first, first + INFO_WORDS);
    const { offset } = mgyInfo;
    this.#view[first + offset.cls / 4] = classId;
    this.#view[first + offset.flags / 4] = facts.flags;
    this.#view[first + offset.ifindex / 4] = facts.ifindex;
    this.#view[first + offset.ep / 4] = facts.endpoint;
    this.#view[first + offset.nh / 4] = facts.nextHop;
    this.#view[first + offset.tun_dst / 4] = facts.hostWord ?? 0;
    if (facts.mac !== undefined) this.#bytes.set(facts.mac, first * 4 + offset.mac);
  }
}
