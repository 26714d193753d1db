/**
 * The calculation: one host's view of the datastore in, what this host must enforce out. Pure and synchronous;
 * the output is a function of the state, never of how it was reached.
 *
 *   WorkloadEndpoint ─┬─> LocalEndpointFilter ─┬─> ActivePolicyCalculator ──┬──────────> PolicyResolver ──┐
 *                     │                        ├─> ActiveProfileCalculator ─│─┐             ^  ^         │
 *                     │                        └─> (endpoint itself) ───────│─│─────────────┘  │         │
 *                     ├─> IpSetMemberIndex                                  │ │                │         │
 *                     └─> RouteResolver ────────────────────────────────────│─│────────────────│───────┐ │
 *   HostEndpoint, GlobalNetworkSet, NetworkSet ─> IpSetMemberIndex          │ │                │       │ │
 *   GlobalNetworkPolicy, NetworkPolicy ─┬─> PolicySorter ───────────────────│─│────────────────┘       │ │
 *                                       └─> ActivePolicyCalculator          v v                        │ │
 *   Tier ─> PolicySorter                                             RuleScanner ─────────────────┐    │ │
 *   Profile ─┬─> labels: IpSetMemberIndex, ActivePolicyCalculator        │ active IP sets         │    │ │
 *            └─> rules: ActiveProfileCalculator                          v                        v    v v
 *   Node ─> RouteResolver                                        IpSetMemberIndex ────────> EventSequencer
 *                                                                            members              │
 *                                                                                                 v
 *                                                                                          DesiredUpdate
 */
import type { DesiredUpdate, EndpointId, PolicyId, ProfileId } from '../model/desired.js';
import type { ResourceUpdate } from '../model/update.js';
import { ActivePolicyCalculator } from './active-policy-calculator.js';
import { ActiveProfileCalculator } from './active-profile-calculator.js';
import { hostContributor, networkSetContributor, workloadContributor } from './contributors.js';
import { Dispatcher, globalName, localName } from './dispatcher.js';
import { EventSequencer } from './event-sequencer.js';
import { IpSetMemberIndex } from './ip-set-member-index.js';
import { LocalEndpointFilter } from './local-endpoint-filter.js';
import { PolicyResolver } from './policy-resolver.js';
import { PolicySorter } from './policy-sorter.js';
import { RouteResolver } from './route-resolver.js';
import { RuleScanner } from './rule-scanner.js';
import {
  hostEndpointOf,
  localEndpoint,
  networkSetOf,
  nodeOf,
  policyOf,
  profileLabels,
  profileOf,
  sortedPolicy,
  sortedTier,
  workloadOf,
} from './stored-values.js';

export interface CalcGraphOptions {
  /** This host's name, as `spec.node` of its endpoints has it. */
  readonly hostname: string;
  readonly onUpdate: (update: DesiredUpdate) => void;
}

export interface CalcStats {
  /** Local workload endpoints that are enforced. */
  readonly endpoints: number;
  /** Policies that select one of them. */
  readonly policies: number;
  readonly profiles: number;
  readonly ipSets: number;
  readonly routes: number;
  /** Every index of every node, by 'node.index': all zero when there is nothing in the datastore. */
  readonly sizes: Readonly<Record<string, number>>;
}

export class CalcGraph {
  readonly #dispatcher = new Dispatcher();
  readonly #localEndpointFilter: LocalEndpointFilter;
  readonly #activePolicies: ActivePolicyCalculator;
  readonly #activeProfiles: ActiveProfileCalculator;
  readonly #ruleScanner: RuleScanner;
  readonly #ipSetMembers: IpSetMemberIndex;
  readonly #policySorter: PolicySorter;
  readonly #policyResolver: PolicyResolver;
  readonly #routeResolver: RouteResolver;
  readonly #sequencer: EventSequencer;
  readonly #onUpdate: (update: DesiredUpdate) => void;
  #sync: 'waiting' | 'reached' | 'told' = 'waiting';

  constructor({ hostname, onUpdate }: CalcGraphOptions) {
    this.#onUpdate = onUpdate;
    const ipSetMembers = new IpSetMemberIndex({
      onMemberAdded: (id, member) => sequencer.onMemberAdded(id, member),
      onMemberRemoved: (id, member) => sequencer.onMemberRemoved(id, member),
    });
    const sequencer = new EventSequencer(onUpdate, ipSetMembers);
    const ruleScanner = new RuleScanner({
      onIpSetActive: (definition) => {
        // Told first: members that are found while the set is filled belong to its first full picture.
        sequencer.onIpSetAdded(definition.id, definition.kind);
        ipSetMembers.addSet(definition);
      },
      onIpSetInactive: (id) => {
        ipSetMembers.removeSet(id);
        sequencer.onIpSetRemoved(id);
      },
      onPolicyRules: (id, policy) => sequencer.onPolicy(id, policy),
      onProfileRules: (id, profile) => sequencer.onProfile(id, profile),
    });
    const policySorter = new PolicySorter((policies) => policyResolver.onOrderChanged(policies));
    const policyResolver = new PolicyResolver(policySorter, (id, endpoint) =>
      sequencer.onWorkloadEndpoint(id, endpoint),
    );
    const activePolicies = new ActivePolicyCalculator({
      onActivePolicy: (id, policy) => ruleScanner.onActivePolicy(id, policy),
      onMatchStarted: (policy, endpoint) => policyResolver.onMatchStarted(policy, endpoint),
      onMatchStopped: (policy, endpoint) => policyResolver.onMatchStopped(policy, endpoint),
    });
    const activeProfiles = new ActiveProfileCalculator((id, profile) =>
      ruleScanner.onActiveProfile(id, profile),
    );
    const localEndpointFilter = new LocalEndpointFilter(hostname, (id, endpoint) => {
      const local = endpoint === null ? null : localEndpoint(endpoint);
      activePolicies.onLocalEndpoint(id, local?.labelled ?? null);
      activeProfiles.onEndpointProfiles(id, local?.endpoint.profiles ?? []);
      policyResolver.onLocalEndpoint(id, local?.endpoint ?? null);
    });
    this.#localEndpointFilter = localEndpointFilter;
    this.#activePolicies = activePolicies;
    this.#activeProfiles = activeProfiles;
    this.#ruleScanner = ruleScanner;
    this.#ipSetMembers = ipSetMembers;
    this.#policySorter = policySorter;
    this.#policyResolver = policyResolver;
    this.#routeResolver = new RouteResolver(hostname, (cidr, route) =>
      sequencer.onRoute(cidr, route),
    );
    this.#sequencer = sequencer;
    this.#registerEndpoints();
    this.#registerPolicies();
  }

  /** Takes note of one object as it is now. Repetitions cost little and change nothing. */
  onResource(update: ResourceUpdate): void {
    this.#dispatcher.dispatch(update);
  }

  /** The snapshot is complete. Nothing leaves before this; the flush after it ends with 'in-sync'. */
  onInSync(): void {
    if (this.#sync === 'waiting') this.#sync = 'reached';
  }

  /** Says what changed since the last flush, referents first. */
  flush(): void {
    if (this.#sync === 'waiting') return;
    this.#policyResolver.flush();
    this.#ruleScanner.flush();
    this.#sequencer.flush();
    if (this.#sync === 'told') return;
    this.#sync = 'told';
    this.#onUpdate({ type: 'in-sync' });
  }

  stats(): CalcStats {
    const nodes = {
      localEndpointFilter: this.#localEndpointFilter.sizes(),
      activePolicies: this.#activePolicies.sizes(),
      activeProfiles: this.#activeProfiles.sizes(),
      ruleScanner: this.#ruleScanner.sizes(),
      ipSetMembers: this.#ipSetMembers.sizes(),
      policySorter: this.#policySorter.sizes(),
      policyResolver: this.#policyResolver.sizes(),
      routeResolver: this.#routeResolver.sizes(),
      sequencer: this.#sequencer.sizes(),
    };
    const sizes = Object.entries(nodes).flatMap(([node, indexes]) =>
      Object.entries(indexes).map(([name, size]) => [`${node}.${name}`, size] as const),
    );
    const said = nodes.sequencer;
    return {
      endpoints: said['endpoints'] ?? 0,
      policies: said['policies'] ?? 0,
      profiles: said['profiles'] ?? 0,
      ipSets: said['ipSets'] ?? 0,
      routes: said['routes'] ?? 0,
      sizes: Object.fromEntries(sizes),
    };
  }

  #registerEndpoints(): void {
    const dispatcher = this.#dispatcher;
    const members = this.#ipSetMembers;
    dispatcher.register('WorkloadEndpoint', (key, value) => {
      const id = localName(key) as EndpointId;
      const endpoint = workloadOf(key, value);
      members.onContributor(globalName(key), endpoint && workloadContributor(endpoint));
      this.#routeResolver.onWorkloadEndpoint(id, endpoint);
      this.#localEndpointFilter.onWorkloadEndpoint(id, endpoint);
    });
    dispatcher.register('HostEndpoint', (key, value) => {
      const endpoint = hostEndpointOf(key, value);
      members.onContributor(globalName(key), endpoint && hostContributor(endpoint));
    });
    for (const kind of ['GlobalNetworkSet', 'NetworkSet']) {
      dispatcher.register(kind, (key, value) => {
        const set = networkSetOf(key, value);
        members.onContributor(globalName(key), set && networkSetContributor(set));
      });
    }
    dispatcher.register('Node', (key, value) =>
      this.#routeResolver.onNode(key.name, nodeOf(value)),
    );
  }

  #registerPolicies(): void {
    const dispatcher = this.#dispatcher;
    for (const kind of ['GlobalNetworkPolicy', 'NetworkPolicy']) {
      dispatcher.register(kind, (key, value) => {
        const id = globalName(key) as PolicyId;
        const policy = policyOf(key, value);
        this.#policySorter.onPolicy(id, policy && sortedPolicy(key, policy));
        this.#activePolicies.onPolicy(id, policy);
      });
    }
    dispatcher.register('Tier', (key, value) =>
      this.#policySorter.onTier(key.name, sortedTier(key, value)),
    );
    dispatcher.register('Profile', (key, value) => {
      const profile = profileOf(value);
      const labels = profile && profileLabels(profile);
      this.#ipSetMembers.onProfileLabels(key.name, labels);
      this.#activePolicies.onProfileLabels(key.name, labels);
      this.#activeProfiles.onProfile(key.name as ProfileId, profile);
    });
  }
}
