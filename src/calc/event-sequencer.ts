/**
 * Holds back what changed until flush, then says the difference to what was said before, referents first
 * (spec/policy.md 13.1): IP sets, policies and profiles, endpoints, routes; removals in reverse. What changed
 * and changed back within a batch is not said at all.
 */
import { isDeepStrictEqual } from 'node:util';
import type {
  DesiredHost,
  DesiredHostEndpoint,
  DesiredLocalHost,
  DesiredPolicy,
  DesiredPool,
  DesiredProfile,
  DesiredRoute,
  DesiredUpdate,
  DesiredWorkloadEndpoint,
  EndpointId,
  IpSetId,
  IpSetKind,
  IpSetMember,
  PolicyId,
  ProfileId,
} from '../model/desired.js';

export interface IpSetSource {
  membersOf(id: IpSetId): readonly IpSetMember[];
}

/** Remembers what was said itself: there are as many routes as the cluster has endpoints. */
export interface RouteSource {
  takeUpdates(): Iterable<readonly [cidr: string, route: DesiredRoute]>;
  /** After takeUpdates(), with nothing in between. */
  takeRemovals(): Iterable<string>;
}

export interface EventSources {
  readonly ipSets: IpSetSource;
  readonly routes: RouteSource;
}

interface MemberChanges {
  readonly added: Set<IpSetMember>;
  readonly removed: Set<IpSetMember>;
}

/** Values of one type by id: what was said, and what to say next. */
class Pending<Id, Value> {
  readonly #sent = new Map<Id, Value>();
  readonly #pending = new Map<Id, Value | null>();

  get size(): number {
    return this.#sent.size;
  }

  get pendingSize(): number {
    return this.#pending.size;
  }

  set(id: Id, value: Value | null): void {
    this.#pending.set(id, value);
  }

  /** What differs from what was said; removals stay pending. */
  *takeUpdates(): Generator<readonly [Id, Value]> {
    for (const [id, value] of this.#pending) {
      if (value === null) continue;
      this.#pending.delete(id);
      const sent = this.#sent.get(id);
      if (sent === value || (sent !== undefined && isDeepStrictEqual(sent, value))) continue;
      this.#sent.set(id, value);
      yield [id, value];
    }
  }

  *takeRemovals(): Generator<Id> {
    for (const [id, value] of this.#pending) {
      if (value !== null) continue;
      this.#pending.delete(id);
      if (this.#sent.delete(id)) yield id;
    }
  }
}

export class EventSequencer {
  readonly #onUpdate: (update: DesiredUpdate) => void;
  readonly #sources: EventSources;
  readonly #ipSets = new Map<IpSetId, IpSetKind>();
  readonly #newIpSets = new Set<IpSetId>();
  readonly #goneIpSets = new Set<IpSetId>();
  readonly #memberChanges = new Map<IpSetId, MemberChanges>();
  readonly #policies = new Pending<PolicyId, DesiredPolicy>();
  readonly #profiles = new Pending<ProfileId, DesiredProfile>();
  readonly #endpoints = new Pending<EndpointId, DesiredWorkloadEndpoint>();
  readonly #hostEndpoints = new Pending<EndpointId, DesiredHostEndpoint>();
  readonly #localHost = new Pending<'', DesiredLocalHost>();
  readonly #hosts = new Pending<string, DesiredHost>();
  readonly #blockRoutes = new Pending<string, DesiredRoute>();
  readonly #localBlocks = new Pending<string, true>();
  readonly #pools = new Pending<string, DesiredPool>();

  constructor(onUpdate: (update: DesiredUpdate) => void, sources: EventSources) {
    this.#onUpdate = onUpdate;
    this.#sources = sources;
  }

  /** Its members are read when it is first said, at the next flush. An id is not reused within a batch. */
  onIpSetAdded(id: IpSetId, kind: IpSetKind): void {
    this.#ipSets.set(id, kind);
    this.#newIpSets.add(id);
  }

  onIpSetRemoved(id: IpSetId): void {
    this.#ipSets.delete(id);
    this.#memberChanges.delete(id);
    if (!this.#newIpSets.delete(id)) this.#goneIpSets.add(id);
  }

  onMemberAdded(id: IpSetId, member: IpSetMember): void {
    const changes = this.#changesOf(id);
    if (changes !== undefined && !changes.removed.delete(member)) changes.added.add(member);
  }

  onMemberRemoved(id: IpSetId, member: IpSetMember): void {
    const changes = this.#changesOf(id);
    if (changes !== undefined && !changes.added.delete(member)) changes.removed.add(member);
  }

  onPolicy(id: PolicyId, policy: DesiredPolicy | null): void {
    this.#policies.set(id, policy);
  }

  onProfile(id: ProfileId, profile: DesiredProfile | null): void {
    this.#profiles.set(id, profile);
  }

  onWorkloadEndpoint(id: EndpointId, endpoint: DesiredWorkloadEndpoint | null): void {
    this.#endpoints.set(id, endpoint);
  }

  onHostEndpoint(id: EndpointId, endpoint: DesiredHostEndpoint | null): void {
    this.#hostEndpoints.set(id, endpoint);
  }

  onLocalHost(host: DesiredLocalHost | null): void {
    this.#localHost.set('', host);
  }

  onHost(name: string, host: DesiredHost | null): void {
    this.#hosts.set(name, host);
  }

  /** Of a block, a borrowed address or a tunnel's end. */
  onBlockRoute(cidr: string, route: DesiredRoute | null): void {
    this.#blockRoutes.set(cidr, route);
  }

  onPool(name: string, pool: DesiredPool | null): void {
    this.#pools.set(name, pool);
  }

  onLocalBlock(cidr: string, isLocal: boolean): void {
    this.#localBlocks.set(cidr, isLocal ? true : null);
  }

  flush(): void {
    const say = this.#onUpdate;
    const { routes } = this.#sources;
    this.#flushIpSets();
    for (const [id, policy] of this.#policies.takeUpdates()) say({ type: 'policy', id, policy });
    for (const [id, profile] of this.#profiles.takeUpdates()) say({ type: 'profile', id, profile });
    for (const [id, endpoint] of this.#endpoints.takeUpdates()) {
      say({ type: 'workload-endpoint', id, endpoint });
    }
    for (const [id, endpoint] of this.#hostEndpoints.takeUpdates()) {
      say({ type: 'host-endpoint', id, endpoint });
    }
    for (const [, host] of this.#localHost.takeUpdates()) say({ type: 'local-host', host });
    for (const [name, host] of this.#hosts.takeUpdates()) say({ type: 'host', name, host });
    for (const [name, pool] of this.#pools.takeUpdates()) say({ type: 'pool', name, pool });
    for (const [cidr] of this.#localBlocks.takeUpdates()) say({ type: 'local-block', cidr });
    for (const [cidr, route] of this.#blockRoutes.takeUpdates()) {
      say({ type: 'block-route', cidr, route });
    }
    for (const [cidr, route] of routes.takeUpdates()) say({ type: 'route', cidr, route });
    for (const cidr of routes.takeRemovals()) say({ type: 'route-remove', cidr });
    for (const cidr of this.#blockRoutes.takeRemovals()) say({ type: 'block-route-remove', cidr });
    for (const cidr of this.#localBlocks.takeRemovals()) say({ type: 'local-block-remove', cidr });
    for (const name of this.#pools.takeRemovals()) say({ type: 'pool-remove', name });
    for (const name of this.#hosts.takeRemovals()) say({ type: 'host-remove', name });
    for (const _ of this.#localHost.takeRemovals()) say({ type: 'local-host-remove' });
    for (const id of this.#hostEndpoints.takeRemovals()) say({ type: 'host-endpoint-remove', id });
    for (const id of this.#endpoints.takeRemovals()) say({ type: 'workload-endpoint-remove', id });
    for (const id of this.#profiles.takeRemovals()) say({ type: 'profile-remove', id });
    for (const id of this.#policies.takeRemovals()) say({ type: 'policy-remove', id });
    for (const id of this.#goneIpSets) say({ type: 'ip-set-remove', id });
    this.#goneIpSets.clear();
  }

  /** Of what was said, and of what waits to be said. */
  sizes(): Readonly<Record<string, number>> {
    return {
      ipSets: this.#ipSets.size,
      policies: this.#policies.size,
      profiles: this.#profiles.size,
      endpoints: this.#endpoints.size,
      hostEndpoints: this.#hostEndpoints.size,
      hosts: this.#hosts.size,
      blockRoutes: this.#blockRoutes.size,
      localBlocks: this.#localBlocks.size,
      pools: this.#pools.size,
      pending:
        this.#newIpSets.size +
        this.#goneIpSets.size +
        this.#memberChanges.size +
        this.#policies.pendingSize +
        this.#profiles.pendingSize +
        this.#endpoints.pendingSize +
        this.#hostEndpoints.pendingSize +
        this.#localHost.pendingSize +
        this.#hosts.pendingSize +
        this.#blockRoutes.pendingSize +
        this.#localBlocks.pendingSize +
        this.#pools.pendingSize,
    };
  }

  #flushIpSets(): void {
    for (const id of this.#newIpSets) {
      const kind = this.#ipSets.get(id);
      if (kind === undefined) continue;
      this.#onUpdate({ type: 'ip-set', id, kind, members: this.#sources.ipSets.membersOf(id) });
    }
    this.#newIpSets.clear();
    for (const [id, { added, removed }] of this.#memberChanges) {
      if (added.size + removed.size === 0) continue;
      this.#onUpdate({ type: 'ip-set-delta', id, added: [...added], removed: [...removed] });
    }
    this.#memberChanges.clear();
  }

  /** Undefined for sets that will be said whole, or not at all. */
  #changesOf(id: IpSetId): MemberChanges | undefined {
    if (this.#newIpSets.has(id) || !this.#ipSets.has(id)) return undefined;
    let changes = this.#memberChanges.get(id);
    if (changes === undefined) {
      changes = { added: new Set(), removed: new Set() };
      this.#memberChanges.set(id, changes);
    }
    return changes;
  }
}
