/**
 * The objects of each kind as the nodes take them. The key, not the object, says namespace and name. Pure; throws on
 * what cannot be read, and nothing that was read here fails later: rules are checked, although they are converted only
 * once their policy is active.
 */
import { hostCidr } from '../base/net/cidr.js';
import { addToIp } from '../base/net/ip.js';
import type { DesiredVtep, ProfileId } from '../model/desired.js';
import type { BlockSpec } from '../model/ipam-objects.js';
import { cidrOfName } from '../model/ipam-paths.js';
import type { Resource, ResourceKey } from '../model/update.js';
import { hostAddress, subnetAddress } from './addresses.js';
import type { Block } from './block-resolver.js';
import type { CompiledSelector } from './compiled-selector.js';
import { hostContributor, networkSetContributor, workloadContributor } from './contributors.js';
import type { Contributor } from './contributor-registry.js';
import type { Labels } from './effective-labels.js';
import type { LabelledItem } from './label-index.js';
import type { StoredWorkload } from './local-endpoint-filter.js';
import { appliesTo } from './policy-direction.js';
import type { LocalEndpoint, LocalHostEndpoint } from './policy-resolver.js';
import { policySelector } from './policy-selector.js';
import { type SortedPolicy, type SortedTier, tieBreakKey } from './policy-sorter.js';
import { stagesOf } from './policy-stages.js';
import type { NextHops } from './route-resolver.js';
import { checkRule } from './rule-conversion.js';
import type { ActivePolicy } from './rule-scanner.js';
import type {
  HostEndpointSpec,
  NetworkSetSpec,
  NodeSpec,
  PolicySpec,
  PoolSpec,
  ProfileSpec,
  RuleLists,
  StoredMetadata,
  TierSpec,
  WorkloadEndpointSpec,
} from './stored-objects.js';
import type { NodePlace, Pool } from './tunnel-resolver.js';

function metadataOf({ namespace }: ResourceKey, { metadata }: Resource): StoredMetadata {
  return { namespace, labels: metadata.labels };
}

/** Its kind says what it holds. */
function specOf<Spec extends object>({ spec }: Resource): Spec {
  return (spec ?? {}) as Spec;
}

export interface ReadWorkload extends StoredWorkload {
  readonly contributor: Contributor;
}

export function readWorkload(key: ResourceKey, value: Resource): ReadWorkload {
  const spec = specOf<WorkloadEndpointSpec>(value);
  const contributor = workloadContributor(metadataOf(key, value), spec);
  return { namespace: key.namespace, spec, labels: contributor.labels, contributor };
}

export interface ReadHostEndpoint {
  readonly spec: HostEndpointSpec;
  readonly contributor: Contributor;
}

export function readHostEndpoint(key: ResourceKey, value: Resource): ReadHostEndpoint {
  const spec = specOf<HostEndpointSpec>(value);
  return { spec, contributor: hostContributor(metadataOf(key, value), spec) };
}

export function readNetworkSet(key: ResourceKey, value: Resource): Contributor {
  return networkSetContributor(metadataOf(key, value), specOf<NetworkSetSpec>(value));
}

export interface ReadNode {
  readonly hops: NextHops;
  readonly place: NodePlace;
  /** Bare addresses of the host's own at its ends of tunnels. */
  readonly ends: readonly string[];
}

export function readNode(_key: ResourceKey, value: Resource): ReadNode {
  const spec = specOf<NodeSpec>(value);
  const { ipv4Address = '', ipv6Address = '', ipv4IPIPTunnelAddr } = spec.bgp ?? {};
  const place: NodePlace = {
    4: ipv4Address === '' ? undefined : subnetAddress(ipv4Address),
    6: ipv6Address === '' ? undefined : subnetAddress(ipv6Address),
    ipipAddress: ipv4IPIPTunnelAddr || undefined,
    vxlan4: vtep(spec.ipv4VXLANTunnelAddr, spec.vxlanTunnelMACAddr),
    vxlan6: vtep(spec.ipv6VXLANTunnelAddr, spec.vxlanTunnelMACAddrV6),
  };
  const ends = [place.ipipAddress, place.vxlan4?.address, place.vxlan6?.address];
  return {
    hops: {
      4: place[4] && hostAddress(ipv4Address),
      6: place[6] && hostAddress(ipv6Address),
    },
    place,
    ends: ends.filter((end) => end !== undefined),
  };
}

function vtep(address: string | undefined, mac: string | undefined): DesiredVtep | undefined {
  return address ? { address, ...(mac ? { mac } : {}) } : undefined;
}

export function readPool(_key: ResourceKey, value: Resource): Pool {
  const {
    cidr,
    ipipMode = 'Never',
    vxlanMode = 'Never',
    natOutgoing = false,
  } = specOf<PoolSpec>(value);
  return { cidr: subnetAddress(cidr).masked(), ipip: ipipMode, vxlan: vxlanMode, natOutgoing };
}

const HOST_AFFINITY = 'host:';

/** The key says which block it is. */
export function readBlock(key: ResourceKey, value: Resource): Block {
  const cidr = subnetAddress(cidrOfName(key.name) ?? key.name);
  const { affinity, allocations = [], attributes } = specOf<BlockSpec>(value);
  const node = affinity?.startsWith(HOST_AFFINITY)
    ? affinity.slice(HOST_AFFINITY.length)
    : undefined;
  const borrowed = new Map<string, string>();
  for (const [ordinal, index] of allocations.entries()) {
    const holder = index === null ? undefined : attributes?.[index]?.secondary?.['node'];
    const ip = holder === undefined || holder === node ? null : addToIp(cidr.address, ordinal);
    if (ip !== null && holder !== undefined) borrowed.set(hostCidr(ip).toString(), holder);
  }
  return { cidr, node, borrowed };
}

export interface ReadProfile {
  readonly spec: ProfileSpec;
  readonly labels: Labels;
}

export function readProfile(_key: ResourceKey, value: Resource): ReadProfile {
  const spec = specOf<ProfileSpec>(value);
  checkRules(spec);
  return { spec, labels: new Map(Object.entries(spec.labelsToApply ?? {})) };
}

export interface ReadPolicy {
  readonly active: ActivePolicy;
  readonly selector: CompiledSelector;
  readonly sorted: SortedPolicy;
}

export function readPolicy(key: ResourceKey, value: Resource): ReadPolicy {
  const spec = specOf<PolicySpec>(value);
  const tier = spec.tier === undefined || spec.tier === '' ? 'default' : spec.tier;
  const active = { namespace: key.namespace ?? null, tier, spec };
  const selector = policySelector(active);
  checkRules(spec);
  const sorted = {
    tier,
    order: orderOf(spec),
    key: tieBreakKey({ namespace: key.namespace, name: key.name, tier }),
    stages: stagesOf(spec),
    ...appliesTo(spec),
  };
  return { active, selector, sorted };
}

export function readTier(key: ResourceKey, value: Resource): SortedTier {
  const spec = specOf<TierSpec>(value);
  return {
    name: key.name,
    order: orderOf(spec),
    defaultAction: spec.defaultAction === 'Pass' ? 'pass' : 'deny',
  };
}

/** Absent sorts after every number. */
function orderOf({ order }: { readonly order?: number | null }): number {
  if (order === undefined || order === null) return Number.POSITIVE_INFINITY;
  if (typeof order === 'number' && !Number.isNaN(order)) return order;
  throw new TypeError(`order ${String(order)} is not a number`);
}

/** All of them, those of directions in which they are inert as well: the object is valid or it is not. */
function checkRules({ ingress, egress }: RuleLists): void {
  for (const rules of [ingress ?? [], egress ?? []]) {
    if (!Array.isArray(rules)) throw new TypeError('rules are no list');
    rules.forEach(checkRule);
  }
}

/** A workload of this host: as policies see it, and as the dataplane does. */
export function localEndpoint({ spec, labels }: StoredWorkload): {
  readonly labelled: LabelledItem;
  readonly endpoint: LocalEndpoint;
} {
  const { interfaceName = '', ipNetworks = [], ipNATs = [], mac, profiles = [] } = spec;
  const floatingIps = ipNATs.map(({ internalIP, externalIP }) => ({
    external: hostAddress(externalIP),
    internal: hostAddress(internalIP),
  }));
  return {
    labelled: { labels, parents: profiles },
    endpoint: {
      interfaceName,
      addresses: [...new Set(ipNetworks.map(hostAddress))],
      ...(mac === undefined ? {} : { mac }),
      ...(floatingIps.length === 0 ? {} : { floatingIps }),
      profiles: profiles as readonly ProfileId[],
    },
  };
}

/** A host endpoint of this host, likewise. */
export function localHostEndpoint({ spec, contributor }: ReadHostEndpoint): {
  readonly labelled: LabelledItem;
  readonly endpoint: LocalHostEndpoint;
} {
  const { interfaceName = '', expectedIPs = [], profiles = [] } = spec;
  return {
    labelled: { labels: contributor.labels, parents: profiles },
    endpoint: {
      interfaceName,
      expectedIPs: [...new Set(expectedIPs.map(hostAddress))],
      profiles: profiles as readonly ProfileId[],
    },
  };
}
