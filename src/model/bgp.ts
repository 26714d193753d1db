/** What a host's routing daemon is to do (spec/bgp.md): peers, and which ranges may be told to whom. Plain data. */
import type { BGPFilterSpec } from './api/bgp-filter.js';

export interface DesiredPeer {
  /** 'Mesh_10_0_0_2', 'Global_...', 'Node_...': programs that show sessions read the kind and the address from it. */
  readonly name: string;
  readonly ip: string;
  readonly port?: number;
  readonly asNumber: number;
  /** Overrides the host's own. */
  readonly localAs?: number;
  /** The other side connects. */
  readonly passive?: true;
  /** It gets what other peers say, too; of this cluster. */
  readonly reflectorCluster?: string;
  readonly nextHop?: 'self' | 'keep';
  /** The kernel chooses the address that the session comes from. */
  readonly anySource?: true;
  readonly restartSeconds?: number;
  readonly keepaliveSeconds?: number;
  readonly allowLocalAs?: number;
  /** Routers between the two, at most; packets from farther away are ignored. */
  readonly ttlSecurity?: number;
  /** Of TCP MD5 (RFC 2385): printable, no quotes, 80 characters at most. Not for logs. */
  readonly password?: string;
  /** The peer's own address is routed by this one. */
  readonly gateway?: string;
  /** Names in DesiredBgp.filters, in the order in which they are asked. */
  readonly filters?: readonly string[];
}

export interface DesiredFilter {
  readonly name: string;
  readonly spec: BGPFilterSpec;
}

export interface DesiredBgpPool {
  readonly cidr: string;
  /** The agent has the routes of its encapsulated destinations. */
  readonly isTunnelled: boolean;
  /** Told to nobody. */
  readonly isHidden: boolean;
}

/** Communities for what is inside the range. */
export interface DesiredAdvertisement {
  readonly cidr: string;
  /** '64512:300' or '64512:1:2'. */
  readonly communities: readonly string[];
}

export interface DesiredBgp {
  readonly address4?: string;
  readonly address6?: string;
  readonly asNumber: number;
  readonly debug: 'none' | 'states' | 'all';
  /** Absent: 179. */
  readonly listenPort?: number;
  /** Only connections to this host's own address are taken. */
  readonly bindsToAddress: boolean;
  /** In order of their CIDRs, as all lists here: equal pictures are equal texts. */
  readonly pools: readonly DesiredBgpPool[];
  /** Of this host. */
  readonly blocks: readonly string[];
  /** Service ranges that this host tells. */
  readonly services: readonly string[];
  /** Ranges of services whose routes a route reflector passes on. */
  readonly reflectedServices: readonly string[];
  readonly advertisements: readonly DesiredAdvertisement[];
  readonly ignoredInterfaces: readonly string[];
  readonly peers: readonly DesiredPeer[];
  /** Those that peers name. */
  readonly filters: readonly DesiredFilter[];
  /** What was left out, a line each. */
  readonly problems: readonly string[];
}
