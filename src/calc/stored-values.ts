/** The objects of each kind as the nodes take them. The key, not the object, says namespace and name. Pure. */
import type { ProfileId } from '../model/desired.js';
import type { Resource, ResourceKey } from '../model/update.js';
import { hostAddress } from './addresses.js';
import { type Labels, workloadLabels } from './effective-labels.js';
import type { LabelledItem } from './label-index.js';
import { appliesTo } from './policy-direction.js';
import type { LocalEndpoint } from './policy-resolver.js';
import { type SortedPolicy, type SortedTier, tieBreakKey } from './policy-sorter.js';
import type { ActivePolicy } from './rule-scanner.js';
import type {
  HostEndpointSpec,
  NetworkSetSpec,
  NodeSpec,
  PolicySpec,
  ProfileSpec,
  StoredObject,
  TierSpec,
  WorkloadEndpointSpec,
} from './stored-objects.js';

/** Validated before it came here: its kind says what its spec holds. */
function objectOf<Spec extends object>(
  key: ResourceKey,
  value: Resource | null,
): StoredObject<Spec> | null {
  if (value === null) return null;
  const { namespace: _, ...metadata } = value.metadata;
  const place = key.namespace === undefined ? {} : { namespace: key.namespace };
  return { metadata: { ...metadata, ...place, name: key.name }, spec: (value.spec ?? {}) as Spec };
}

export const workloadOf = objectOf<WorkloadEndpointSpec>;
export const hostEndpointOf = objectOf<HostEndpointSpec>;
export const networkSetOf = objectOf<NetworkSetSpec>;

export function nodeOf(value: Resource | null): NodeSpec | null {
  return value === null ? null : ((value.spec ?? {}) as NodeSpec);
}

export function profileOf(value: Resource | null): ProfileSpec | null {
  return value === null ? null : ((value.spec ?? {}) as ProfileSpec);
}

export function profileLabels(profile: ProfileSpec): Labels {
  return new Map(Object.entries(profile.labelsToApply ?? {}));
}

export function policyOf(key: ResourceKey, value: Resource | null): ActivePolicy | null {
  if (value === null) return null;
  const spec = (value.spec ?? {}) as PolicySpec;
  const tier = spec.tier === undefined || spec.tier === '' ? 'default' : spec.tier;
  return { namespace: key.namespace ?? null, tier, spec };
}

export function sortedPolicy(key: ResourceKey, { tier, spec }: ActivePolicy): SortedPolicy {
  return {
    tier,
    order: spec.order ?? Number.POSITIVE_INFINITY,
    key: tieBreakKey({ namespace: key.namespace, name: key.name, tier }),
    ...appliesTo(spec),
  };
}

export function sortedTier(key: ResourceKey, value: Resource | null): SortedTier | null {
  if (value === null) return null;
  const spec = (value.spec ?? {}) as TierSpec;
  return {
    name: key.name,
    order: spec.order ?? Number.POSITIVE_INFINITY,
    defaultAction: spec.defaultAction === 'Pass' ? 'pass' : 'deny',
  };
}

/** A workload of this host: as policies see it, and as the dataplane does. */
export function localEndpoint(object: StoredObject<WorkloadEndpointSpec>): {
  readonly labelled: LabelledItem;
  readonly endpoint: LocalEndpoint;
} {
  const { interfaceName = '', ipNetworks = [], mac, profiles = [] } = object.spec;
  return {
    labelled: { labels: workloadLabels(object), parents: profiles },
    endpoint: {
      interfaceName,
      addresses: [...new Set(ipNetworks.map(hostAddress))],
      ...(mac === undefined ? {} : { mac }),
      profiles: profiles as readonly ProfileId[],
    },
  };
}
