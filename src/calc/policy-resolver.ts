/**
 * Marries active policies with endpoints of this host: the tiers of each endpoint, in order, for both directions and
 * each stage. Does not decide which policies are active, nor their order. One for workloads, one for host endpoints.
 */
import type {
  DesiredHostEndpoint,
  DesiredTier,
  DesiredWorkloadEndpoint,
  EndpointId,
  PolicyId,
  PolicyStage,
} from '../model/desired.js';
import { WILDCARD_INTERFACE } from '../model/host-endpoint-attachment.js';
import { MultiMap } from './multi-map.js';
import type { PolicySorter } from './policy-sorter.js';

/** Endpoints without their tiers. */
export type LocalEndpoint = Omit<DesiredWorkloadEndpoint, 'tiers'>;
export type LocalHostEndpoint = Omit<DesiredHostEndpoint, 'tiers'>;

/** The tiers of one endpoint in a stage. */
export type TiersOf = (stage: PolicyStage) => readonly DesiredTier[];

export interface PolicyResolverOptions<Endpoint, Desired> {
  readonly sorter: PolicySorter;
  readonly complete: (endpoint: Endpoint, tiersOf: TiersOf) => Desired;
  readonly onResolved: (id: EndpointId, endpoint: Desired | null) => void;
}

export class PolicyResolver<Endpoint, Desired> {
  readonly #options: PolicyResolverOptions<Endpoint, Desired>;
  readonly #endpoints = new Map<EndpointId, Endpoint>();
  readonly #policiesByEndpoint = new MultiMap<EndpointId, PolicyId>();
  readonly #endpointsByPolicy = new MultiMap<PolicyId, EndpointId>();
  readonly #dirty = new Set<EndpointId>();

  constructor(options: PolicyResolverOptions<Endpoint, Desired>) {
    this.#options = options;
  }

  onLocalEndpoint(id: EndpointId, endpoint: Endpoint | null): void {
    if (endpoint !== null) this.#endpoints.set(id, endpoint);
    else if (!this.#endpoints.delete(id)) return;
    this.#dirty.add(id);
  }

  onMatchStarted(policy: PolicyId, endpoint: EndpointId): void {
    this.#policiesByEndpoint.add(endpoint, policy);
    this.#endpointsByPolicy.add(policy, endpoint);
    this.#dirty.add(endpoint);
  }

  onMatchStopped(policy: PolicyId, endpoint: EndpointId): void {
    this.#policiesByEndpoint.delete(endpoint, policy);
    this.#endpointsByPolicy.delete(policy, endpoint);
    this.#dirty.add(endpoint);
  }

  /** The place of these policies, their directions or their stages changed. */
  onOrderChanged(policies: Iterable<PolicyId>): void {
    for (const policy of policies) {
      for (const endpoint of this.#endpointsByPolicy.get(policy)) this.#dirty.add(endpoint);
    }
  }

  /** O(dirty): at start of day, 100 endpoints x 200 policies sort 100 times, not 20,000. */
  flush(): void {
    const { sorter, complete, onResolved } = this.#options;
    for (const id of this.#dirty) {
      const endpoint = this.#endpoints.get(id);
      if (endpoint === undefined) {
        onResolved(id, null);
        continue;
      }
      const policies = sorter.sort(this.#policiesByEndpoint.get(id));
      onResolved(
        id,
        complete(endpoint, (stage) => this.#tiers(policies, stage)),
      );
    }
    this.#dirty.clear();
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      endpoints: this.#endpoints.size,
      endpointsWithPolicies: this.#policiesByEndpoint.size,
      policies: this.#endpointsByPolicy.size,
      dirty: this.#dirty.size,
    };
  }

  /** Of policies in order; those of other stages are passed over. */
  #tiers(policies: readonly PolicyId[], stage: PolicyStage): readonly DesiredTier[] {
    const { sorter } = this.#options;
    const tiers = new Map<string, { ingress: PolicyId[]; egress: PolicyId[] }>();
    for (const id of policies) {
      const policy = sorter.policy(id);
      if (policy === undefined || !policy.stages.includes(stage)) continue;
      const egress = policy.egress && stage !== 'preDnat';
      if (!policy.ingress && !egress) continue;
      const tier = tiers.get(policy.tier) ?? { ingress: [], egress: [] };
      tiers.set(policy.tier, tier);
      if (policy.ingress) tier.ingress.push(id);
      if (egress) tier.egress.push(id);
    }
    const passes = stage === 'untracked' || stage === 'preDnat';
    return [...tiers].map(([name, { ingress, egress }]) => ({
      name,
      defaultAction: passes ? 'pass' : sorter.tier(name).defaultAction,
      ingress,
      egress,
    }));
  }
}

export function completeWorkload(
  endpoint: LocalEndpoint,
  tiersOf: TiersOf,
): DesiredWorkloadEndpoint {
  return { ...endpoint, tiers: tiersOf('normal') };
}

/** Untracked policy does not exist for what governs no interface of its own (spec/policy.md 15.3). */
export function completeHostEndpoint(
  endpoint: LocalHostEndpoint,
  tiersOf: TiersOf,
): DesiredHostEndpoint {
  const tiers = {
    untracked: endpoint.interfaceName === WILDCARD_INTERFACE ? [] : tiersOf('untracked'),
    preDnat: tiersOf('preDnat'),
    normal: tiersOf('normal'),
    forward: tiersOf('forward'),
  };
  return { ...endpoint, tiers };
}
