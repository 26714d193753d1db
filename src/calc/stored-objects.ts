/**
 * What calc reads of each kind. Narrow on purpose: fields that decide nothing here are not named. Values have
 * been validated before they arrive (spec/resources.md 7, 9, 10).
 */

/** Namespace as the key has it, not the object. */
export interface StoredMetadata {
  readonly namespace: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
}

export interface StoredPort {
  readonly name?: string;
  readonly protocol: string | number;
  readonly port: number;
}

export interface WorkloadEndpointSpec {
  readonly orchestrator?: string;
  readonly node?: string;
  readonly workload?: string;
  readonly pod?: string;
  readonly containerID?: string;
  readonly endpoint?: string;
  readonly ipNetworks?: readonly string[];
  readonly ipNATs?: readonly { readonly internalIP: string; readonly externalIP: string }[];
  readonly profiles?: readonly string[];
  readonly interfaceName?: string;
  readonly mac?: string;
  readonly ports?: readonly StoredPort[];
  readonly serviceAccountName?: string;
}

export interface HostEndpointSpec {
  readonly node?: string;
  readonly interfaceName?: string;
  readonly expectedIPs?: readonly string[];
  readonly profiles?: readonly string[];
  readonly ports?: readonly StoredPort[];
}

export interface NetworkSetSpec {
  readonly nets?: readonly string[];
}

export interface IcmpFields {
  readonly type?: number;
  readonly code?: number;
}

export interface EntityRule {
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
  readonly selector?: string;
  readonly notSelector?: string;
  readonly namespaceSelector?: string;
  readonly ports?: readonly (number | string)[];
  readonly notPorts?: readonly (number | string)[];
  readonly serviceAccounts?: { readonly names?: readonly string[]; readonly selector?: string };
  readonly services?: { readonly name?: string; readonly namespace?: string };
}

export interface Rule {
  readonly action: 'Allow' | 'Deny' | 'Pass' | 'Log';
  readonly ipVersion?: 4 | 6;
  readonly protocol?: string | number;
  readonly notProtocol?: string | number;
  readonly icmp?: IcmpFields;
  readonly notICMP?: IcmpFields;
  readonly source?: EntityRule;
  readonly destination?: EntityRule;
}

export interface RuleLists {
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

export interface PolicySpec extends RuleLists {
  readonly order?: number | null;
  readonly selector?: string;
  readonly types?: readonly ('Ingress' | 'Egress')[];
  readonly tier?: string;
  readonly doNotTrack?: boolean;
  readonly preDNAT?: boolean;
  readonly applyOnForward?: boolean;
  readonly namespaceSelector?: string;
  readonly serviceAccountSelector?: string;
}

export interface ProfileSpec extends RuleLists {
  readonly labelsToApply?: Readonly<Record<string, string>>;
}

export interface TierSpec {
  readonly order?: number | null;
  readonly defaultAction?: 'Deny' | 'Pass';
}

export interface NodeSpec {
  readonly bgp?: {
    readonly ipv4Address?: string;
    readonly ipv6Address?: string;
    readonly ipv4IPIPTunnelAddr?: string;
  };
  readonly ipv4VXLANTunnelAddr?: string;
  readonly ipv6VXLANTunnelAddr?: string;
  readonly vxlanTunnelMACAddr?: string;
  readonly vxlanTunnelMACAddrV6?: string;
}

type TunnelMode = 'Always' | 'CrossSubnet' | 'Never';

export interface PoolSpec {
  readonly cidr: string;
  readonly ipipMode?: TunnelMode;
  readonly vxlanMode?: TunnelMode;
  readonly natOutgoing?: boolean;
}
