/** Records of the event ring as sightings: rules by name instead of trace ids, as they are known at this moment. */
import { formatIp, formatIp4, ip6 } from '../../base/net/ip.js';
import { type BpfMap, native, type RingBuffer } from '../../kernel/addon.js';
import type { Decision } from '../../model/decision.js';
import type {
  ConnectionSighting,
  FlowDecisions,
  FlowSighting,
  FlowTuple,
  PacketSighting,
} from '../../model/flow.js';
import {
  MGY_CT_REPLIED,
  MGY_EVENT_END,
  MGY_EVENT_FLOW,
  MGY_EVENT_PACKET,
  MGY_EVENT_START,
  mgyEvent,
  mgyEventHead,
  mgyFlowEvent,
} from './abi.gen.js';
import { REASONS } from './counters.js';

/** Decisions behind a trace id; empty if nobody knows them any more. */
export type DescribeTrace = (trace: number) => readonly Decision[];

export interface DecodeOptions {
  readonly describe: DescribeTrace;
  /** Kernel ticks per second: times in entries are in units of 64 ticks. */
  readonly hz: number;
}

const ICMP = 1;
const ICMP6 = 58;
const carriesPorts = (protocol: number): boolean => [6, 17, 132].includes(protocol);

/** null: not a record of these programs. */
export function decodeRecord(record: Uint8Array, options: DecodeOptions): FlowSighting | null {
  if (record.byteLength < mgyEventHead.size) return null;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  switch (view.getUint8(mgyEventHead.offset.kind)) {
    case MGY_EVENT_PACKET:
    case MGY_EVENT_START:
      return record.byteLength < mgyEvent.size ? null : decodePacket(view, options);
    case MGY_EVENT_FLOW:
    case MGY_EVENT_END:
      return record.byteLength < mgyFlowEvent.size ? null : decodeConnection(view, options);
    default:
      return null;
  }
}

/** Addresses and ports are in network order, the rest in host order. */
function decodePacket(view: DataView, options: DecodeOptions): PacketSighting {
  const head = mgyEventHead.offset;
  const { offset } = mgyEvent;
  const tuple = decodeTuple(view);
  const number = view.getUint16(head.dport);
  const isIcmp = tuple.protocol === ICMP || tuple.protocol === ICMP6;
  const icmp = { type: number >> 8, code: number & 255 };
  const reason = REASONS.get(view.getUint8(head.reason)) ?? 'unknown';
  return {
    type: 'packet',
    atNs: view.getBigUint64(head.ns, true),
    tuple: isIcmp ? { ...tuple, icmp } : tuple,
    decisions: decodeDecisions(view, options),
    allow: reason.startsWith('ok_'),
    reason,
    log: view.getUint8(offset.log) !== 0,
    ifindex: view.getUint32(offset.ifindex, true),
    bytes: view.getUint32(offset.len, true),
    repeats: view.getUint32(offset.repeats, true),
  };
}

function decodeConnection(view: DataView, options: DecodeOptions): ConnectionSighting {
  const { offset } = mgyFlowEvent;
  const ms = (at: number): number => Math.max(0, (view.getInt32(at, true) * 64_000) / options.hz);
  return {
    type: 'connection',
    atNs: view.getBigUint64(mgyEventHead.offset.ns, true),
    tuple: decodeTuple(view),
    decisions: decodeDecisions(view, options),
    ended: view.getUint8(mgyEventHead.offset.kind) === MGY_EVENT_END,
    replied: (view.getUint32(offset.flags, true) & MGY_CT_REPLIED) !== 0,
    packets: view.getUint32(offset.packets, true),
    bytes: Number(view.getBigUint64(offset.bytes, true)),
    packetsBack: view.getUint32(offset.packets_back, true),
    bytesBack: Number(view.getBigUint64(offset.bytes_back, true)),
    ageMs: ms(offset.age),
    idleMs: ms(offset.idle),
  };
}

function decodeTuple(view: DataView): FlowTuple {
  const { src, dst, proto, sport, dport, family } = mgyEventHead.offset;
  const word = (at: number, i: number): number => view.getUint32(at + 4 * i);
  const address = (at: number): string =>
    view.getUint8(family) === 6
      ? formatIp(ip6(word(at, 0), word(at, 1), word(at, 2), word(at, 3)))
      : formatIp4(word(at, 0));
  const protocol = view.getUint8(proto);
  const isIcmp = protocol === ICMP || protocol === ICMP6;
  return {
    source: address(src),
    destination: address(dst),
    protocol,
    sourcePort: carriesPorts(protocol) || isIcmp ? view.getUint16(sport) : 0,
    destinationPort: carriesPorts(protocol) ? view.getUint16(dport) : 0,
  };
}

function decodeDecisions(view: DataView, { describe }: DecodeOptions): FlowDecisions {
  const side = (at: number): readonly Decision[] | null => {
    const trace = view.getUint32(at, true);
    return trace === 0 ? null : describe(trace);
  };
  const { trace_out, trace_in } = mgyEventHead.offset;
  return { egress: side(trace_out), ingress: side(trace_in) };
}

/** Reads the ring while it is open. */
export class FlowEvents implements Disposable {
  readonly #ring: RingBuffer;
  #listener: ((sighting: FlowSighting) => void) | undefined;

  constructor(map: BpfMap, options: DecodeOptions) {
    const { RingBuffer: Ring } = native();
    this.#ring = new Ring(map, (record) => {
      if (this.#listener === undefined) return;
      const sighting = decodeRecord(record, options);
      if (sighting !== null) this.#listener(sighting);
    });
  }

  onSighting(listener: (sighting: FlowSighting) => void): void {
    this.#listener = listener;
  }

  [Symbol.dispose](): void {
    this.#ring.close();
  }
}
