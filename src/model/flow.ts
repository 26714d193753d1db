/** What observers see of packets and connections: the contract between a dataplane and src/observe. */
import type { Decision } from './decision.js';

/** Addresses are canonical text, ports in host order; 0 for protocols without ports. */
export interface FlowTuple {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Of a single ICMP packet; of a connection only the identifier is known, which is in sourcePort for both. */
  readonly icmp?: { readonly type: number; readonly code: number };
}

/** Policy's say at each end; null: it was not asked there. Empty: nobody knows the rules any more. */
export interface FlowDecisions {
  readonly egress: readonly Decision[] | null;
  readonly ingress: readonly Decision[] | null;
}

/** A packet that was dropped, that a Log rule asked for, or that began a connection. */
export interface PacketSighting {
  readonly type: 'packet';
  /** CLOCK_MONOTONIC. */
  readonly atNs: bigint;
  readonly tuple: FlowTuple;
  readonly decisions: FlowDecisions;
  readonly allow: boolean;
  /** 'ok_new', 'drop_policy_in', ...: docs/reference/drop-reasons.md with underscores. */
  readonly reason: string;
  /** A Log rule asked for it. */
  readonly log: boolean;
  readonly ifindex: number;
  readonly bytes: number;
  /** Packets like it since the last that was told of. */
  readonly repeats: number;
}

/** A connection in the table, or just removed from it. Numbers are totals since it began. */
export interface ConnectionSighting {
  readonly type: 'connection';
  readonly atNs: bigint;
  /** In the direction in which it was opened. */
  readonly tuple: FlowTuple;
  readonly decisions: FlowDecisions;
  readonly ended: boolean;
  /** A packet went each way. */
  readonly replied: boolean;
  readonly packets: number;
  readonly bytes: number;
  readonly packetsBack: number;
  readonly bytesBack: number;
  readonly ageMs: number;
  readonly idleMs: number;
}

export type FlowSighting = PacketSighting | ConnectionSighting;

/** Packets that policy was asked about, since this was last read. */
export interface RuleHits {
  /** Log and Pass rules on the way, then what decided: each of them counts these packets. */
  readonly decisions: readonly Decision[];
  readonly packets: number;
  readonly bytes: number;
}
