/** Packets and bytes by reason, summed over the CPUs. */
import type { BpfMap } from '../../kernel/addon.js';
import * as abi from './abi.gen.js';

export interface ReasonCount {
  /** 'drop_policy_in', 'ok_new', ... */
  readonly reason: string;
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Reason number → name, from the generated constants. */
export const REASONS: ReadonlyMap<number, string> = new Map(
  Object.entries(abi as Readonly<Record<string, unknown>>)
    .filter(
      (entry): entry is [string, number] =>
        typeof entry[1] === 'number' && /^MGY_(OK|DROP)_/.test(entry[0]),
    )
    .map(([name, number]) => [number, name.slice('MGY_'.length).toLowerCase()]),
);

/** struct mgy_counter: packets, bytes. */
const COUNTER_BYTES = 16;

export function readCounters(map: BpfMap): readonly ReasonCount[] {
  return [...REASONS].map(([number, reason]) => ({ reason, ...readCounter(map, number) }));
}

/** One element of a per-CPU array of counters. */
export function readCounter(map: BpfMap, number: number): Omit<ReasonCount, 'reason'> {
  const values = map.lookup(new Uint8Array(Uint32Array.of(number).buffer)) ?? new Uint8Array();
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  let packets = 0n;
  let bytes = 0n;
  for (let at = 0; at + COUNTER_BYTES <= values.byteLength; at += COUNTER_BYTES) {
    packets += view.getBigUint64(at, true);
    bytes += view.getBigUint64(at + 8, true);
  }
  return { packets, bytes };
}
