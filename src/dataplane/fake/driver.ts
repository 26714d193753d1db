/** Keeps what is wanted in memory and touches no kernel: the oracle in tests, and a way to run without root. */
import type {
  DesiredPolicy,
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
} from '../../model/desired.js';
import { ApplyError } from '../apply-error.js';
import type { Dataplane } from '../dataplane.js';

export interface FakeIpSet {
  readonly kind: IpSetKind;
  readonly members: ReadonlySet<IpSetMember>;
}

/** What a kernel would hold after apply(). */
export class FakeState {
  readonly ipSets = new Map<IpSetId, FakeIpSet>();
  readonly policies = new Map<PolicyId, DesiredPolicy>();
  readonly profiles = new Map<ProfileId, DesiredProfile>();
  readonly endpoints = new Map<EndpointId, DesiredWorkloadEndpoint>();
  readonly routes = new Map<string, DesiredRoute>();
  inSync = false;

  take(update: DesiredUpdate): void {
    switch (update.type) {
      case 'ip-set':
        this.ipSets.set(update.id, { kind: update.kind, members: new Set(update.members) });
        break;
      case 'ip-set-delta':
        this.#changeMembers(update);
        break;
      case 'ip-set-remove':
        this.ipSets.delete(update.id);
        break;
      case 'policy':
        this.policies.set(update.id, update.policy);
        break;
      case 'policy-remove':
        this.policies.delete(update.id);
        break;
      case 'profile':
        this.profiles.set(update.id, update.profile);
        break;
      case 'profile-remove':
        this.profiles.delete(update.id);
        break;
      case 'workload-endpoint':
        this.endpoints.set(update.id, update.endpoint);
        break;
      case 'workload-endpoint-remove':
        this.endpoints.delete(update.id);
        break;
      case 'route':
        this.routes.set(update.cidr, update.route);
        break;
      case 'route-remove':
        this.routes.delete(update.cidr);
        break;
      case 'in-sync':
        this.inSync = true;
        break;
      default:
        update satisfies never;
    }
  }

  #changeMembers(update: Extract<DesiredUpdate, { type: 'ip-set-delta' }>): void {
    const before = this.ipSets.get(update.id);
    if (before === undefined) throw new Error(`delta of IP set ${update.id}, which does not exist`);
    const members = new Set(before.members);
    for (const member of update.removed) members.delete(member);
    for (const member of update.added) members.add(member);
    this.ipSets.set(update.id, { kind: before.kind, members });
  }
}

/** As strict as a real one about order: nothing is applied before in-sync, and a delta needs its set. */
export class FakeDataplane implements Dataplane {
  readonly name = 'fake';
  /** What apply() has put in force. */
  readonly state = new FakeState();
  readonly resyncs: string[] = [];
  applies = 0;
  #recorded: DesiredUpdate[] = [];
  #inSync = false;
  #failures: readonly string[] = [];
  #onDirty: () => void = () => undefined;

  onUpdate(update: DesiredUpdate): void {
    this.#recorded.push(update);
    if (update.type === 'in-sync') this.#inSync = true;
  }

  async apply({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted();
    if (!this.#inSync) return;
    this.applies++;
    if (this.#failures.length > 0) throw new ApplyError(this.#failures);
    for (const update of this.#recorded) this.state.take(update);
    this.#recorded = [];
  }

  /** What apply() throws from now on; empty: it succeeds again. */
  failWith(failures: readonly string[]): void {
    this.#failures = failures;
  }

  /** As if a link had changed. */
  touch(): void {
    this.#onDirty();
  }

  queueResync(reason: string): void {
    this.resyncs.push(reason);
  }

  onDirty(callback: () => void): void {
    this.#onDirty = callback;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#recorded = [];
  }
}
