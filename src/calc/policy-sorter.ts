/**
 * The order in which tiers and policies are evaluated (spec/policy.md 5.1, 13.4, 15.1). Does not know
 * endpoints.
 */
import type { PolicyId, PolicyStage } from '../model/desired.js';
import { MultiMap } from './multi-map.js';

export interface SortedPolicy {
  readonly tier: string;
  /** Infinity when absent. */
  readonly order: number;
  /** Decides between equal orders; see tieBreakKey. */
  readonly key: string;
  readonly ingress: boolean;
  readonly egress: boolean;
  /** On host endpoints. */
  readonly stages: readonly PolicyStage[];
}

export interface SortedTier {
  readonly name: string;
  /** Infinity when absent. */
  readonly order: number;
  readonly defaultAction: 'deny' | 'pass';
}

/** These always exist and are what they are, whatever is stored (spec/policy.md 15.1). */
const BUILT_IN_TIERS: ReadonlyMap<string, SortedTier> = new Map(
  [
    { name: 'kube-admin', order: 1_000, defaultAction: 'pass' } as const,
    // Of the forerunners of ClusterNetworkPolicy (15.4).
    { name: 'adminnetworkpolicy', order: 1_000, defaultAction: 'pass' } as const,
    { name: 'baselineadminnetworkpolicy', order: 10_000_000, defaultAction: 'pass' } as const,
    { name: 'default', order: 1_000_000, defaultAction: 'deny' } as const,
    { name: 'kube-baseline', order: 10_000_000, defaultAction: 'pass' } as const,
  ].map((tier) => [tier.name, tier]),
);

export class PolicySorter {
  readonly #tiers = new Map<string, SortedTier>();
  readonly #policies = new Map<PolicyId, SortedPolicy>();
  readonly #policiesByTier = new MultiMap<string, PolicyId>();
  readonly #onOrderChanged: (policies: Iterable<PolicyId>) => void;

  constructor(onOrderChanged: (policies: Iterable<PolicyId>) => void) {
    this.#onOrderChanged = onOrderChanged;
  }

  onTier(name: string, tier: SortedTier | null): void {
    if (tier === null) this.#tiers.delete(name);
    else this.#tiers.set(name, tier);
    this.#onOrderChanged(this.#policiesByTier.get(name));
  }

  onPolicy(id: PolicyId, policy: SortedPolicy | null): void {
    const before = this.#policies.get(id);
    if (before !== undefined && policy !== null && samePlace(before, policy)) return;
    if (before !== undefined) this.#policiesByTier.delete(before.tier, id);
    if (policy === null) this.#policies.delete(id);
    else {
      this.#policies.set(id, policy);
      this.#policiesByTier.add(policy.tier, id);
    }
    this.#onOrderChanged([id]);
  }

  policy(id: PolicyId): SortedPolicy | undefined {
    return this.#policies.get(id);
  }

  /** Tiers that do not exist come after all that do, with default Deny. */
  tier(name: string): SortedTier {
    return (
      BUILT_IN_TIERS.get(name) ??
      this.#tiers.get(name) ?? { name, order: Number.POSITIVE_INFINITY, defaultAction: 'deny' }
    );
  }

  /** In order of evaluation: tier by tier, policy by policy. Unknown ids are left out. */
  sort(ids: Iterable<PolicyId>): readonly PolicyId[] {
    const known: { readonly id: PolicyId; readonly policy: SortedPolicy }[] = [];
    for (const id of ids) {
      const policy = this.#policies.get(id);
      if (policy !== undefined) known.push({ id, policy });
    }
    known.sort(
      (a, b) =>
        this.#compareTiers(a.policy.tier, b.policy.tier) ||
        compare(a.policy.order, b.policy.order) ||
        compare(a.policy.key, b.policy.key) ||
        compare(a.id, b.id),
    );
    return known.map(({ id }) => id);
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      tiers: this.#tiers.size,
      policies: this.#policies.size,
      tiersWithPolicies: this.#policiesByTier.size,
    };
  }

  #compareTiers(a: string, b: string): number {
    if (a === b) return 0;
    return (
      compare(this.#isMissing(a), this.#isMissing(b)) ||
      compare(this.tier(a).order, this.tier(b).order) ||
      compare(a, b)
    );
  }

  #isMissing(name: string): boolean {
    return !BUILT_IN_TIERS.has(name) && !this.#tiers.has(name);
  }
}

/**
 * What Calico v3.2 compares when orders are equal: the name under which it stores the policy, prefix included.
 * So NetworkPolicies precede converted Kubernetes policies of their namespace, whatever their names.
 */
export function tieBreakKey(policy: {
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly tier: string;
}): string {
  const prefix = `${policy.tier}.`;
  const stored =
    /^(knp|ossg)\./.test(policy.name) || policy.name.startsWith(prefix)
      ? policy.name
      : prefix + policy.name;
  return policy.namespace === undefined ? stored : `${policy.namespace}/${stored}`;
}

/** Names are ASCII, so the order of UTF-16 units is the order of bytes. */
function compare<Value extends string | number | boolean>(a: Value, b: Value): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

function samePlace(a: SortedPolicy, b: SortedPolicy): boolean {
  return (
    a.tier === b.tier &&
    a.order === b.order &&
    a.key === b.key &&
    a.ingress === b.ingress &&
    a.egress === b.egress &&
    a.stages.join() === b.stages.join()
  );
}
