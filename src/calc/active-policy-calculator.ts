/**
 * Which policies select some endpoint of this host, and which endpoints (spec/policy.md 4). Workloads know policy of
 * the normal stage alone; host endpoints know global policy alone, of every stage. Does not know order or rules.
 */
import type { EndpointId, PolicyId } from '../model/desired.js';
import type { CompiledSelector } from './compiled-selector.js';
import type { Labels } from './effective-labels.js';
import { LabelIndex, type LabelledItem, type MatchListener } from './label-index.js';
import { selectsWorkloads } from './policy-stages.js';
import type { ActivePolicy } from './rule-scanner.js';

export interface PolicyListener {
  /** Null when it no longer selects an endpoint of this host, or went. */
  readonly onActivePolicy: (id: PolicyId, policy: ActivePolicy | null) => void;
  readonly workloads: MatchListener<PolicyId, EndpointId>;
  readonly hosts: MatchListener<PolicyId, EndpointId>;
}

export class ActivePolicyCalculator {
  readonly #listener: PolicyListener;
  readonly #policies = new Map<PolicyId, ActivePolicy>();
  /** Endpoints of either kind that the policy selects. */
  readonly #matches = new Map<PolicyId, number>();
  readonly #workloads: LabelIndex<PolicyId, EndpointId>;
  readonly #hosts: LabelIndex<PolicyId, EndpointId>;

  constructor(listener: PolicyListener) {
    this.#listener = listener;
    this.#workloads = this.#countingIndex(listener.workloads);
    this.#hosts = this.#countingIndex(listener.hosts);
  }

  onPolicy(id: PolicyId, policy: ActivePolicy | null, selector: CompiledSelector | null): void {
    if (policy === null) this.#policies.delete(id);
    else this.#policies.set(id, policy);
    const wasActive = this.#matches.has(id);
    // Even where a host endpoint carries a namespace's label, a NetworkPolicy never selects it.
    select(this.#hosts, id, policy?.namespace === null ? selector : null);
    const selectsAny = policy !== null && selectsWorkloads(policy.spec);
    select(this.#workloads, id, selectsAny ? selector : null);
    if (wasActive && policy !== null && this.#matches.has(id)) {
      this.#listener.onActivePolicy(id, policy);
    }
  }

  onLocalWorkload(id: EndpointId, endpoint: LabelledItem | null): void {
    updateItem(this.#workloads, id, endpoint);
  }

  onLocalHostEndpoint(id: EndpointId, endpoint: LabelledItem | null): void {
    updateItem(this.#hosts, id, endpoint);
  }

  onProfileLabels(name: string, labels: Labels | null): void {
    this.#workloads.updateParent(name, labels);
    this.#hosts.updateParent(name, labels);
  }

  sizes(): Readonly<Record<string, number>> {
    const hosts = Object.entries(this.#hosts.sizes()).map(([name, size]) => [
      `hosts.${name}`,
      size,
    ]);
    return {
      ...this.#workloads.sizes(),
      ...Object.fromEntries(hosts),
      policies: this.#policies.size,
      active: this.#matches.size,
    };
  }

  #countingIndex(listener: MatchListener<PolicyId, EndpointId>): LabelIndex<PolicyId, EndpointId> {
    return new LabelIndex<PolicyId, EndpointId>({
      onMatchStarted: (policy, endpoint) => {
        this.#count(policy, 1);
        listener.onMatchStarted(policy, endpoint);
      },
      onMatchStopped: (policy, endpoint) => {
        listener.onMatchStopped(policy, endpoint);
        this.#count(policy, -1);
      },
    });
  }

  #count(id: PolicyId, change: 1 | -1): void {
    const before = this.#matches.get(id) ?? 0;
    const after = before + change;
    if (after > 0) this.#matches.set(id, after);
    else this.#matches.delete(id);
    const policy = this.#policies.get(id);
    if (before === 0 && policy !== undefined) this.#listener.onActivePolicy(id, policy);
    if (after === 0) this.#listener.onActivePolicy(id, null);
  }
}

function select(
  index: LabelIndex<PolicyId, EndpointId>,
  id: PolicyId,
  selector: CompiledSelector | null,
): void {
  if (selector === null) index.removeSelector(id);
  else index.updateSelector(id, selector);
}

function updateItem(
  index: LabelIndex<PolicyId, EndpointId>,
  id: EndpointId,
  endpoint: LabelledItem | null,
): void {
  if (endpoint === null) index.removeItem(id);
  else index.updateItem(id, endpoint);
}
