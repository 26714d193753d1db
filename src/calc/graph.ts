/**
 * The calculation: one host's view of the datastore in, what this host must enforce out. Pure and synchronous;
 * the output is a function of the state, never of how it was reached.
 *
 *   WorkloadEndpoint ─┬─> LocalEndpointFilter ─┬─> ActivePolicyCalculator ──┬──────────> PolicyResolver ──┐
 *                     │                        ├─> ActiveProfileCalculator ─│─┐             ^  ^         │
 *                     │                        └─> (endpoint itself) ───────│─│─────────────┘  │         │
 *                     └─> ContributorRegistry                               │ │                │         │
 *   HostEndpoint, GlobalNetworkSet, NetworkSet ─> ContributorRegistry       │ │                │         │
 *   ContributorRegistry ─┬─> IpSetMemberIndex                               │ │                │         │
 *                        └─> RouteResolver ─────────────────────────────────│─│────────────────│───────┐ │
 *   GlobalNetworkPolicy, NetworkPolicy ─┬─> PolicySorter ───────────────────│─│────────────────┘       │ │
 *                                       └─> ActivePolicyCalculator          v v                        │ │
 *   Tier ─> PolicySorter                                             RuleScanner ─────────────────┐    │ │
 *   Profile ─┬─> labels: IpSetMemberIndex, ActivePolicyCalculator        │ active IP sets         │    │ │
 *            └─> rules: ActiveProfileCalculator                          v                        v    v v
 *   Node ─> RouteResolver                                        IpSetMemberIndex ────────> EventSequencer
 *                                                                            members              │
 *                                                                                                 v
 *                                                                                          DesiredUpdate
 *
 * Which addresses need a route of their own, and how it leads there, RouteResolver asks BlockResolver (of IPAMBlock,
 * Node) and TunnelResolver (of IPPool, Node); these two tell the sequencer of blocks and hosts.
 * Host endpoints of this host also go the way of its workloads, past the filter and to a PolicyResolver of their own.
 */
import type {
  DesiredHostEndpoint,
  DesiredUpdate,
  DesiredWorkloadEndpoint,
  EndpointId,
  PolicyId,
  ProfileId,
} from '../model/desired.js';
import { cidrOfName } from '../model/ipam-paths.js';
import type { ResourceUpdate } from '../model/update.js';
import { ActivePolicyCalculator } from './active-policy-calculator.js';
import { ActiveProfileCalculator } from './active-profile-calculator.js';
import { subnetAddress } from './addresses.js';
import { BlockResolver } from './block-resolver.js';
import { ContributorRegistry } from './contributor-registry.js';
import { Dispatcher, globalName, localName } from './dispatcher.js';
import { EventSequencer } from './event-sequencer.js';
import { IpSetMemberIndex } from './ip-set-member-index.js';
import { LocalEndpointFilter } from './local-endpoint-filter.js';
import {
  completeHostEndpoint,
  completeWorkload,
  type LocalEndpoint,
  type LocalHostEndpoint,
  PolicyResolver,
} from './policy-resolver.js';
import { PolicySorter } from './policy-sorter.js';
import { RouteResolver } from './route-resolver.js';
import { RuleScanner } from './rule-scanner.js';
import {
  localEndpoint,
  localHostEndpoint,
  readBlock,
  readHostEndpoint,
  readNetworkSet,
  readNode,
  readPolicy,
  readPool,
  readProfile,
  readTier,
  readWorkload,
} from './stored-values.js';
import { TunnelResolver } from './tunnel-resolver.js';

export interface CalcGraphOptions {
  /** This host's name, as `spec.node` of its endpoints has it. */
  readonly hostname: string;
  readonly onUpdate: (update: DesiredUpdate) => void;
}

export interface CalcStats {
  /** Local workload endpoints that are enforced. */
  readonly endpoints: number;
  readonly hostEndpoints: number;
  /** Policies that select an endpoint of this host. */
  readonly policies: number;
  readonly profiles: number;
  readonly ipSets: number;
  readonly routes: number;
  /**
   * Objects taken for absent because they cannot be read, by key ('NetworkPolicy(shop/db)'), and why. What is
   * written through the API never is; what was written around it may be.
   */
  readonly invalid: Readonly<Record<string, string>>;
  /** Every index of every node, by 'node.index': all zero when there is nothing in the datastore. */
  readonly sizes: Readonly<Record<string, number>>;
}

export class CalcGraph {
  readonly #dispatcher = new Dispatcher();
  readonly #localEndpointFilter: LocalEndpointFilter;
  readonly #activePolicies: ActivePolicyCalculator;
  readonly #activeProfiles: ActiveProfileCalculator;
  readonly #ruleScanner: RuleScanner;
  readonly #contributors: ContributorRegistry;
  readonly #ipSetMembers: IpSetMemberIndex;
  readonly #policySorter: PolicySorter;
  readonly #workloadResolver: PolicyResolver<LocalEndpoint, DesiredWorkloadEndpoint>;
  readonly #hostResolver: PolicyResolver<LocalHostEndpoint, DesiredHostEndpoint>;
  readonly #tunnelResolver: TunnelResolver;
  readonly #blockResolver: BlockResolver;
  readonly #routeResolver: RouteResolver;
  readonly #sequencer: EventSequencer;
  readonly #onUpdate: (update: DesiredUpdate) => void;
  #sync: 'waiting' | 'reached' | 'told' = 'waiting';

  constructor({ hostname, onUpdate }: CalcGraphOptions) {
    this.#onUpdate = onUpdate;
    const contributors = new ContributorRegistry((change) => {
      ipSetMembers.onContributor(change);
      routeResolver.onContributor(change);
    });
    const routeResolver = new RouteResolver({
      hostname,
      contributors,
      routeFor: (text, node) => {
        const cidr = subnetAddress(text);
        return blockResolver.covers(cidr, node) ? undefined : tunnelResolver.routeTo(cidr, node);
      },
    });
    const ipSetMembers = new IpSetMemberIndex(contributors, {
      onMemberAdded: (id, member) => sequencer.onMemberAdded(id, member),
      onMemberRemoved: (id, member) => sequencer.onMemberRemoved(id, member),
    });
    const sequencer = new EventSequencer(onUpdate, {
      ipSets: ipSetMembers,
      routes: routeResolver,
    });
    const ruleScanner = new RuleScanner({
      onIpSetActive: (definition) => {
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
    const sorter = new PolicySorter((policies) => {
      workloadResolver.onOrderChanged(policies);
      hostResolver.onOrderChanged(policies);
    });
    const workloadResolver = new PolicyResolver({
      sorter,
      complete: completeWorkload,
      onResolved: (id, endpoint) => sequencer.onWorkloadEndpoint(id, endpoint),
    });
    const hostResolver = new PolicyResolver({
      sorter,
      complete: completeHostEndpoint,
      onResolved: (id, endpoint) => sequencer.onHostEndpoint(id, endpoint),
    });
    const activePolicies = new ActivePolicyCalculator({
      onActivePolicy: (id, policy) => ruleScanner.onActivePolicy(id, policy),
      workloads: workloadResolver,
      hosts: hostResolver,
    });
    const activeProfiles = new ActiveProfileCalculator((id, profile) =>
      ruleScanner.onActiveProfile(id, profile),
    );
    const localEndpointFilter = new LocalEndpointFilter(hostname, (id, endpoint) => {
      const local = endpoint === null ? null : localEndpoint(endpoint);
      activePolicies.onLocalWorkload(id, local?.labelled ?? null);
      activeProfiles.onEndpointProfiles(id, local?.endpoint.profiles ?? []);
      workloadResolver.onLocalEndpoint(id, local?.endpoint ?? null);
    });
    this.#localEndpointFilter = localEndpointFilter;
    this.#activePolicies = activePolicies;
    this.#activeProfiles = activeProfiles;
    this.#ruleScanner = ruleScanner;
    this.#ipSetMembers = ipSetMembers;
    this.#policySorter = sorter;
    this.#workloadResolver = workloadResolver;
    this.#hostResolver = hostResolver;
    const tunnelResolver = new TunnelResolver({
      hostname,
      onHost: (name, host) => sequencer.onHost(name, host),
      onLocalHost: (host) => sequencer.onLocalHost(host),
      onChange: () => {
        blockResolver.resay();
        routeResolver.reconsiderAll();
      },
    });
    const blockResolver = new BlockResolver({
      hostname,
      routeTo: (destination, node) => tunnelResolver.routeTo(destination, node),
      onRoute: (cidr, route) => sequencer.onBlockRoute(cidr, route),
      onLocalBlock: (cidr, isLocal) => sequencer.onLocalBlock(cidr, isLocal),
      onCoverage: (net) => routeResolver.reconsider(net),
    });
    this.#tunnelResolver = tunnelResolver;
    this.#blockResolver = blockResolver;
    this.#routeResolver = routeResolver;
    this.#contributors = contributors;
    this.#sequencer = sequencer;
    this.#registerEndpoints(hostname);
    this.#registerNetworks();
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
    this.#workloadResolver.flush();
    this.#hostResolver.flush();
    this.#ruleScanner.flush();
    this.#sequencer.flush();
    if (this.#sync === 'told') return;
    this.#sync = 'told';
    this.#onUpdate({ type: 'in-sync' });
  }

  stats(): CalcStats {
    const nodes = {
      dispatcher: this.#dispatcher.sizes(),
      localEndpointFilter: this.#localEndpointFilter.sizes(),
      contributors: this.#contributors.sizes(),
      activePolicies: this.#activePolicies.sizes(),
      activeProfiles: this.#activeProfiles.sizes(),
      ruleScanner: this.#ruleScanner.sizes(),
      ipSetMembers: this.#ipSetMembers.sizes(),
      policySorter: this.#policySorter.sizes(),
      workloadResolver: this.#workloadResolver.sizes(),
      hostResolver: this.#hostResolver.sizes(),
      tunnelResolver: this.#tunnelResolver.sizes(),
      blockResolver: this.#blockResolver.sizes(),
      routeResolver: this.#routeResolver.sizes(),
      sequencer: this.#sequencer.sizes(),
    };
    const sizes = Object.entries(nodes).flatMap(([node, indexes]) =>
      Object.entries(indexes).map(([name, size]) => [`${node}.${name}`, size] as const),
    );
    const said = nodes.sequencer;
    return {
      endpoints: said['endpoints'] ?? 0,
      hostEndpoints: said['hostEndpoints'] ?? 0,
      policies: said['policies'] ?? 0,
      profiles: said['profiles'] ?? 0,
      ipSets: said['ipSets'] ?? 0,
      routes: this.#routeResolver.size,
      invalid: this.#dispatcher.invalid(),
      sizes: Object.fromEntries(sizes),
    };
  }

  #registerEndpoints(hostname: string): void {
    this.#dispatcher.register('WorkloadEndpoint', {
      read: readWorkload,
      hear: (key, workload) => {
        const id = localName(key) as EndpointId;
        this.#contributors.update(globalName(key), workload?.contributor ?? null);
        this.#localEndpointFilter.onWorkloadEndpoint(id, workload);
      },
    });
    this.#dispatcher.register('HostEndpoint', {
      read: readHostEndpoint,
      hear: (key, host) => {
        this.#contributors.update(globalName(key), host?.contributor ?? null);
        // A name has no slash and a workload's id has one, so that these ids never meet.
        const id = key.name as EndpointId;
        const local = host?.spec.node === hostname ? localHostEndpoint(host) : null;
        this.#activePolicies.onLocalHostEndpoint(id, local?.labelled ?? null);
        this.#activeProfiles.onEndpointProfiles(id, local?.endpoint.profiles ?? []);
        this.#hostResolver.onLocalEndpoint(id, local?.endpoint ?? null);
      },
    });
  }

  #registerNetworks(): void {
    for (const kind of ['GlobalNetworkSet', 'NetworkSet']) {
      this.#dispatcher.register(kind, {
        read: readNetworkSet,
        hear: (key, set) => this.#contributors.update(globalName(key), set),
      });
    }
    this.#dispatcher.register('Node', {
      read: readNode,
      hear: (key, node) => {
        this.#tunnelResolver.onNode(key.name, node?.place ?? null);
        this.#blockResolver.onNode(key.name, node?.ends ?? []);
        this.#routeResolver.onNode(key.name, node?.hops ?? null);
      },
    });
    this.#dispatcher.register('IPPool', {
      read: readPool,
      hear: (key, pool) => {
        this.#tunnelResolver.onPool(key.name, pool);
        const facts = pool && { cidr: pool.cidr.toString(), natOutgoing: pool.natOutgoing };
        this.#sequencer.onPool(key.name, facts);
      },
    });
    this.#dispatcher.register('IPAMBlock', {
      read: readBlock,
      hear: (key, block) => {
        const cidr = cidrOfName(key.name);
        if (cidr !== null) this.#blockResolver.onBlock(cidr, block);
      },
    });
  }

  #registerPolicies(): void {
    for (const kind of ['GlobalNetworkPolicy', 'NetworkPolicy']) {
      this.#dispatcher.register(kind, {
        read: readPolicy,
        hear: (key, policy) => {
          const id = globalName(key) as PolicyId;
          this.#policySorter.onPolicy(id, policy?.sorted ?? null);
          this.#activePolicies.onPolicy(id, policy?.active ?? null, policy?.selector ?? null);
        },
      });
    }
    this.#dispatcher.register('Tier', {
      read: readTier,
      hear: (key, tier) => this.#policySorter.onTier(key.name, tier),
    });
    this.#dispatcher.register('Profile', {
      read: readProfile,
      hear: (key, profile) => {
        const labels = profile?.labels ?? null;
        this.#ipSetMembers.onProfileLabels(key.name, labels);
        this.#activePolicies.onProfileLabels(key.name, labels);
        this.#activeProfiles.onProfile(key.name as ProfileId, profile?.spec ?? null);
      },
    });
  }
}
