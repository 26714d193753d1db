/** Packets that a Log rule, or the logging of drops, wants to be told of. */
import { formatIp4 } from '../../base/net/ip.js';
import type { Log } from '../../base/log.js';
import { native, type BpfMap, type RingBuffer } from '../../kernel/addon.js';
import { REASONS } from './counters.js';

export interface PacketEvent {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** 0 for protocols without ports. */
  readonly sourcePort: number;
  /** ICMP: type * 256 + code. */
  readonly destinationPort: number;
  readonly reason: string;
  /** A Log rule asked for it. */
  readonly isLog: boolean;
  readonly ifindex: number;
  readonly trace: number;
  readonly bytes: number;
}

/** struct mgy_event: addresses and ports in network order, the rest in host order. */
export function decodeEvent(record: Uint8Array): PacketEvent {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  return {
    source: formatIp4(view.getUint32(8)),
    destination: formatIp4(view.getUint32(12)),
    sourcePort: view.getUint16(16),
    destinationPort: view.getUint16(18),
    protocol: view.getUint8(20),
    reason: REASONS.get(view.getUint8(21)) ?? 'unknown',
    isLog: view.getUint8(22) === 1,
    ifindex: view.getUint32(24, true),
    trace: view.getUint32(28, true),
    bytes: view.getUint32(32, true),
  };
}

const LINES_PER_SECOND = 100;

/** Writes events to the log, a bounded number each second; says how many were left out. */
export class EventLogger implements Disposable {
  readonly #ring: RingBuffer;
  readonly #log: Log;
  #second = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(map: BpfMap, log: Log) {
    this.#log = log;
    const { RingBuffer: Ring } = native();
    this.#ring = new Ring(map, (record) => this.#onRecord(record));
  }

  #onRecord(record: Uint8Array): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      if (this.#suppressed > 0)
        this.#log.warn({ suppressed: this.#suppressed }, 'packet events not logged');
      this.#second = second;
      this.#lines = 0;
      this.#suppressed = 0;
    }
    if (++this.#lines > LINES_PER_SECOND) {
      this.#suppressed++;
      return;
    }
    this.#log.info({ packet: decodeEvent(record) }, 'packet');
  }

  [Symbol.dispose](): void {
    this.#ring.close();
  }
}
