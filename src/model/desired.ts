/**
 * The contract out of calc: what this host must enforce and route. Plain data (JSON-serialisable), never
 * mutated. Updates arrive referents first: IP sets, policies and profiles, endpoints, routes; removals in
 * reverse (spec/policy.md 13.1). Each update replaces whatever was said of the same id before.
 */
declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Stable for equal expressions: two rules with the same selector share one set. */
export type IpSetId = Brand<string, 'IpSetId'>;
/** 'GlobalNetworkPolicy/name', 'NetworkPolicy/namespace/name'. */
export type PolicyId = Brand<string, 'PolicyId'>;
export type ProfileId = Brand<string, 'ProfileId'>;
/** 'namespace/name' of a WorkloadEndpoint, 'name' of a HostEndpoint. */
export type EndpointId = Brand<string, 'EndpointId'>;

export type IpFamily = 4 | 6;

/**
 * Canonical text. 'net' sets: '10.0.0.0/8', '10.65.0.2/32', 'fd00::1/128'.
 * 'ip-port' sets (named ports): '10.65.0.2,6:8080' = address, protocol number, port.
 */
export type IpSetMember = string;
export type IpSetKind = 'net' | 'ip-port';

/** Inclusive, host order. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface IcmpMatch {
  readonly type: number;
  readonly code?: number;
}

/**
 * One side of a rule. All given criteria must hold (AND); absent or empty means no restriction.
 * Nets are masked canonical CIDRs of one family each list; a rule whose list has none of the packet's
 * family does not match that family (spec/policy.md 9.4), which RuleScanner says through ipVersion.
 */
export interface DesiredSide {
  /** Address in any of these. */
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
  /** Address in every one of these sets. */
  readonly ipSets?: readonly IpSetId[];
  /** Address in none of these sets. */
  readonly notIpSets?: readonly IpSetId[];
  /** Port in any of these ranges, or (address, protocol, port) in any of namedPorts. */
  readonly ports?: readonly PortRange[];
  readonly namedPorts?: readonly IpSetId[];
  /** Neither in a range nor in a set. */
  readonly notPorts?: readonly PortRange[];
  readonly notNamedPorts?: readonly IpSetId[];
}

export type RuleAction = 'allow' | 'deny' | 'pass' | 'log';

export interface DesiredRule {
  readonly action: RuleAction;
  /** Absent: both families. Names such as ICMP and the nets lists have been folded in. */
  readonly ipVersion?: IpFamily;
  /** The rule can match no packet at all (for example IPv4 nets and ipVersion 6). */
  readonly never?: true;
  readonly protocol?: number;
  readonly notProtocol?: number;
  readonly icmp?: IcmpMatch;
  readonly notIcmp?: IcmpMatch;
  readonly source?: DesiredSide;
  readonly destination?: DesiredSide;
  /** Position in the policy as the user wrote it, zero-based. */
  readonly index: number;
}

export interface DesiredPolicy {
  readonly tier: string;
  readonly ingress: readonly DesiredRule[];
  readonly egress: readonly DesiredRule[];
}

export interface DesiredProfile {
  readonly ingress: readonly DesiredRule[];
  readonly egress: readonly DesiredRule[];
}

export interface DesiredTier {
  readonly name: string;
  /** What happens to a packet that no rule of the tier's policies decided. */
  readonly defaultAction: 'deny' | 'pass';
  /** In order of evaluation; only policies that apply in that direction. Both empty: tier is left out. */
  readonly ingress: readonly PolicyId[];
  readonly egress: readonly PolicyId[];
}

/** What is sent to `external` gets to `internal` (spec/networking.md 13). Bare canonical addresses of one family. */
export interface DesiredFloatingIp {
  readonly external: string;
  readonly internal: string;
}

export interface DesiredWorkloadEndpoint {
  readonly interfaceName: string;
  /** Bare canonical addresses of both families: '10.65.0.2', 'fd00::2'. Never empty. */
  readonly addresses: readonly string[];
  readonly mac?: string;
  /** Addresses of elsewhere that lead to one of its own; absent: none. */
  readonly floatingIps?: readonly DesiredFloatingIp[];
  readonly tiers: readonly DesiredTier[];
  /** In order. A profile that was never sent (missing or invalid) denies at its place. */
  readonly profiles: readonly ProfileId[];
}

/** Where policy of a host endpoint decides, in the order in which a packet meets it (spec/policy.md 6.1). */
export type PolicyStage = 'untracked' | 'preDnat' | 'normal' | 'forward';

/**
 * A host endpoint of this host. Which interface it governs depends on the interfaces there are: see
 * host-endpoint-attachment.ts. In the order of spec/policy.md 5.2, each stage by itself; what a packet that no tier
 * decided meets at the end of a stage: profiles and then deny in the normal one, nothing in the others.
 */
export interface DesiredHostEndpoint {
  /** '' when it is found by its expected addresses, '*' when it governs whatever no other does. */
  readonly interfaceName: string;
  /** Bare canonical addresses of both families; may be empty. */
  readonly expectedIPs: readonly string[];
  /**
   * The end of a tier passes in 'untracked' and 'preDnat', whatever the tier says. 'preDnat' has no egress;
   * 'untracked' is empty of a wildcard. A tier without policies in a direction has no say there.
   */
  readonly tiers: Readonly<Record<PolicyStage, readonly DesiredTier[]>>;
  /** In order, of the normal stage alone. A profile that was never sent denies at its place. */
  readonly profiles: readonly ProfileId[];
}

export type Encapsulation = 'ipip' | 'vxlan';

/** An address range that lives on another host. */
export interface DesiredRoute {
  /** The workload host's name, for messages. */
  readonly node: string;
  /** That host's own address. */
  readonly nextHop: string;
  /** Absent: packets travel as they are. */
  readonly encapsulation?: Encapsulation;
  /** It is an address of that host itself (of its end of a tunnel), not of workloads. */
  readonly isHost?: true;
}

/** A host other than this one. */
export interface DesiredHost {
  /** Bare canonical addresses of both families. */
  readonly addresses: readonly string[];
  /** Its end of a VXLAN, where it has one of the family. */
  readonly vxlan4?: DesiredVtep;
  readonly vxlan6?: DesiredVtep;
}

export interface DesiredVtep {
  readonly address: string;
  /** Absent: as its name says (spec/networking.md 10). */
  readonly mac?: string;
}

/** This host, as its Node and the pools say. */
export interface DesiredLocalHost {
  /** With the length of its subnet: '10.0.0.1/24'. Absent: not known. */
  readonly address4?: string;
  readonly address6?: string;
  /** Some pool wants the encapsulation, so that other hosts' tunnel packets are accepted. */
  readonly ipip: boolean;
  readonly vxlan4: boolean;
  readonly vxlan6: boolean;
  /** This host's own addresses at its ends of the tunnels. */
  readonly ipipAddress?: string;
  readonly vxlanAddress4?: string;
  readonly vxlanAddress6?: string;
}

/** A range that workloads' addresses come from, disabled or not. */
export interface DesiredPool {
  /** Canonical. */
  readonly cidr: string;
  /** What its workloads send outside all pools gets the host's address. */
  readonly natOutgoing: boolean;
}

export type DesiredUpdate =
  | {
      readonly type: 'ip-set';
      readonly id: IpSetId;
      readonly kind: IpSetKind;
      readonly members: readonly IpSetMember[];
    }
  | {
      readonly type: 'ip-set-delta';
      readonly id: IpSetId;
      readonly added: readonly IpSetMember[];
      readonly removed: readonly IpSetMember[];
    }
  | { readonly type: 'ip-set-remove'; readonly id: IpSetId }
  | { readonly type: 'policy'; readonly id: PolicyId; readonly policy: DesiredPolicy }
  | { readonly type: 'policy-remove'; readonly id: PolicyId }
  | { readonly type: 'profile'; readonly id: ProfileId; readonly profile: DesiredProfile }
  | { readonly type: 'profile-remove'; readonly id: ProfileId }
  | {
      readonly type: 'workload-endpoint';
      readonly id: EndpointId;
      readonly endpoint: DesiredWorkloadEndpoint;
    }
  | { readonly type: 'workload-endpoint-remove'; readonly id: EndpointId }
  | {
      readonly type: 'host-endpoint';
      readonly id: EndpointId;
      readonly endpoint: DesiredHostEndpoint;
    }
  | { readonly type: 'host-endpoint-remove'; readonly id: EndpointId }
  | { readonly type: 'host'; readonly name: string; readonly host: DesiredHost }
  | { readonly type: 'host-remove'; readonly name: string }
  | { readonly type: 'local-host'; readonly host: DesiredLocalHost }
  /** Nothing is known of it, and nothing encapsulates. */
  | { readonly type: 'local-host-remove' }
  /** Of a workload's address on another host. */
  | { readonly type: 'route'; readonly cidr: string; readonly route: DesiredRoute }
  | { readonly type: 'route-remove'; readonly cidr: string }
  /** Of a block, a borrowed address, a tunnel's end: of the same range, 'route' wins. */
  | { readonly type: 'block-route'; readonly cidr: string; readonly route: DesiredRoute }
  | { readonly type: 'block-route-remove'; readonly cidr: string }
  /** A block of this host, longer than one address: what nobody in it has leads nowhere. */
  | { readonly type: 'local-block'; readonly cidr: string }
  | { readonly type: 'local-block-remove'; readonly cidr: string }
  | { readonly type: 'pool'; readonly name: string; readonly pool: DesiredPool }
  | { readonly type: 'pool-remove'; readonly name: string }
  /** The first complete picture has been sent: what is not in it may be removed now. */
  | { readonly type: 'in-sync' };
