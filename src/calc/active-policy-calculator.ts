/**
 * Which policies select some workload endpoint of this host, and which endpoints (spec/policy.md 4). Policies
 * of the untracked and pre-DNAT stages select no workload. Does not know order or rules.
 */
import type { EndpointId, PolicyId } from '../model/desired.js';
import type { Labels } from './effective-labels.js';
import { LabelIndex, type LabelledItem } from './label-index.js';
import { policySelector } from './policy-selector.js';
import type { ActivePolicy } from './rule-scanner.js';

export interface PolicyListener {
  /** Null when it no longer selects a local endpoint, or went. */
  onActivePolicy(id: PolicyId, policy: ActivePolicy | null): void;
  onMatchStarted(policy: PolicyId, endpoint: EndpointId): void;
  onMatchStopped(policy: PolicyId, endpoint: EndpointId): void;
}

export class ActivePolicyCalculator {
  readonly #listener: PolicyListener;
  readonly #policies = new Map<PolicyId, ActivePolicy>();
  readonly #matches = new Map<PolicyId, number>();
  readonly #labelIndex: LabelIndex<PolicyId, EndpointId>;

  constructor(listener: PolicyListener) {
    this.#listener = listener;
    this.#labelIndex = new LabelIndex<PolicyId, EndpointId>({
      onMatchStarted: (policy, endpoint) => this.#start(policy, endpoint),
      onMatchStopped: (policy, endpoint) => this.#stop(policy, endpoint),
    });
  }

  onPolicy(id: PolicyId, policy: ActivePolicy | null): void {
    if (policy === null || policy.spec.doNotTrack === true || policy.spec.preDNAT === true) {
      this.#labelIndex.removeSelector(id);
      this.#policies.delete(id);
      return;
    }
    this.#policies.set(id, policy);
    const wasActive = this.#matches.has(id);
    this.#labelIndex.updateSelector(id, policySelector(policy));
    if (wasActive && this.#matches.has(id)) this.#listener.onActivePolicy(id, policy);
  }

  onLocalEndpoint(id: EndpointId, endpoint: LabelledItem | null): void {
    if (endpoint === null) this.#labelIndex.removeItem(id);
    else this.#labelIndex.updateItem(id, endpoint);
  }

  onProfileLabels(name: string, labels: Labels | null): void {
    this.#labelIndex.updateParent(name, labels);
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      ...this.#labelIndex.sizes(),
      policies: this.#policies.size,
      active: this.#matches.size,
    };
  }

  #start(policy: PolicyId, endpoint: EndpointId): void {
    const matches = this.#matches.get(policy) ?? 0;
    this.#matches.set(policy, matches + 1);
    const active = this.#policies.get(policy);
    if (matches === 0 && active !== undefined) this.#listener.onActivePolicy(policy, active);
    this.#listener.onMatchStarted(policy, endpoint);
  }

  #stop(policy: PolicyId, endpoint: EndpointId): void {
    const matches = this.#matches.get(policy) ?? 0;
    this.#listener.onMatchStopped(policy, endpoint);
    if (matches > 1) this.#matches.set(policy, matches - 1);
    else if (this.#matches.delete(policy)) this.#listener.onActivePolicy(policy, null);
  }
}
