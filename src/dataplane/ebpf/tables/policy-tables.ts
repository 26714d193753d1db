/** Keeps the tables that classify packets equal to what is wanted. See docs/design/policy-tables.md. */
import type {
  DesiredPolicy,
  DesiredProfile,
  DesiredTier,
  EndpointId,
  IpSetId,
  IpSetKind,
  IpSetMember,
  PolicyId,
  ProfileId,
} from '../../../model/desired.js';
import type { PolicyMaps } from './policy-maps.js';

export interface PolicyTablesOptions {
  /** Called after every store into memory that packets may read: tests look up between any two. */
  readonly onStore?: () => void;
  /** A policy set that needs more lines (64 bytes) than this is closed and reported. Default 262 144. */
  readonly blockLinesMax?: number;
}

/** A workload of this host as the tables need it. */
export interface TableEndpoint {
  /** Bare addresses of both families; those that are not IPv4 are left alone. */
  readonly addresses: readonly string[];
  readonly tiers: readonly DesiredTier[];
  readonly profiles: readonly ProfileId[];
  /** Host side of the workload's link; 0: not there yet. */
  readonly ifindex: number;
  /** The workload's own, 'ee:ee:ee:ee:ee:ee'; absent: not known. */
  readonly mac?: string;
  /** May be delivered to: programs are attached. */
  readonly ready: boolean;
}

export interface NextHop {
  readonly ifindex: number;
  /** null: on link. */
  readonly gateway: string | null;
}

/** A range of workloads of other hosts. */
export interface RemoteRange {
  /** null: leave it to the host's routing. */
  readonly nextHop: NextHop | null;
}

/** Why an endpoint's direction is closed, or an address of it not served. */
export interface EndpointError {
  readonly endpoint: EndpointId;
  readonly direction?: 'ingress' | 'egress';
  readonly message: string;
}

export interface CommitResult {
  /** Pass it to reclaim() once an RCU grace period has passed after this commit. */
  readonly epoch: number;
  /** Whether space waits for that: if not, no grace period is needed. */
  readonly pending: boolean;
  readonly stores: number;
  readonly statistics: TableStatistics;
  /** All that stand now, not only those of this commit. */
  readonly errors: readonly EndpointError[];
}

/** Elements in use, those waiting for a grace period included. */
export interface TableStatistics {
  readonly classes: number;
  readonly l4Classes: number;
  readonly policySets: number;
  readonly blocks: number;
  readonly lines: number;
  readonly nodes: number;
  readonly infos: number;
  readonly endpoints: number;
  readonly nexthops: number;
  readonly prefixes: number;
}

export interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** Host order; ICMP and protocols without ports: 0. */
  readonly sourcePort: number;
  /** Host order; ICMP: type << 8 | code. */
  readonly destinationPort: number;
}

/** A rule, or the lack of one, that had a say. */
export type Decision =
  | {
      readonly by: 'policy';
      readonly id: PolicyId;
      readonly direction: Direction;
      readonly index: number;
    }
  | {
      readonly by: 'profile';
      readonly id: ProfileId;
      readonly direction: Direction;
      readonly index: number;
    }
  | { readonly by: 'end-of-tier'; readonly tier: string; readonly direction: Direction }
  | { readonly by: 'missing-profile'; readonly id: ProfileId; readonly direction: Direction }
  | { readonly by: 'no-match'; readonly direction: Direction };

export type Direction = 'ingress' | 'egress';

export interface Verdict {
  readonly allow: boolean;
  readonly log: boolean;
  /** 0: the policy set is closed for an error. */
  readonly trace: number;
}

/** What the BPF program finds for the first packet of a connection. */
export interface Lookup {
  /** Policy of the source; null: it is no workload of this host. */
  readonly egress: Verdict | null;
  /** Policy of the destination; null: it is no workload of this host. */
  readonly ingress: Verdict | null;
  /** false: the destination is a workload of this host that may not be delivered to yet. */
  readonly ready: boolean;
  /** Both directions allow and the destination is ready. */
  readonly allow: boolean;
}

export class PolicyTables {
  constructor(maps: PolicyMaps, options: PolicyTablesOptions = {}) {
    void maps;
    void options;
  }

  /** Replaces the members of a set, or makes it. */
  declare setIpSet: (id: IpSetId, kind: IpSetKind, members: readonly IpSetMember[]) => void;
  declare applyIpSetDelta: (
    id: IpSetId,
    added: readonly IpSetMember[],
    removed: readonly IpSetMember[],
  ) => void;
  declare removeIpSet: (id: IpSetId) => void;
  declare setPolicy: (id: PolicyId, policy: DesiredPolicy) => void;
  declare removePolicy: (id: PolicyId) => void;
  declare setProfile: (id: ProfileId, profile: DesiredProfile) => void;
  declare removeProfile: (id: ProfileId) => void;
  declare setEndpoint: (id: EndpointId, endpoint: TableEndpoint) => void;
  declare removeEndpoint: (id: EndpointId) => void;
  /** Cheaper than setEndpoint: touches nothing but the READY flag. */
  declare setReady: (id: EndpointId, ready: boolean) => void;
  /** Replaces the list of this host's own addresses. */
  declare setHostAddresses: (addresses: readonly string[]) => void;
  /** Replaces the list of other hosts' own addresses. */
  declare setRemoteHostAddresses: (addresses: readonly string[]) => void;
  /** null removes the range. */
  declare setRemote: (cidr: string, range: RemoteRange | null) => void;
  /**
   * Publishes everything recorded since the last commit, in the order that lets every packet see the old or
   * the new verdict. Throws TableFullError: packets then still see old or new ones, and only
   * successor() is of use.
   */
  declare commit: () => CommitResult;
  /** What was freed up to this epoch may be used again. */
  declare reclaim: (epoch: number) => void;
  /** The walk of the BPF program over the same bytes. */
  declare lookup: (packet: Packet) => Lookup;
  /** Rules behind a trace id, in order; empty if it is not known (any more). */
  declare describeTrace: (trace: number) => readonly Decision[];
  /** A fresh, uncommitted instance over other maps that wants the same. */
  declare successor: (maps: PolicyMaps) => PolicyTables;
}
