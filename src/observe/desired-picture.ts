/** Holds what calc said last of everything. Decides nothing. */
import type {
  DesiredHostEndpoint,
  DesiredPolicy,
  DesiredProfile,
  DesiredRoute,
  DesiredUpdate,
  DesiredWorkloadEndpoint,
  EndpointId,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../model/desired.js';

export class DesiredPicture {
  readonly ipSets = new Map<IpSetId, Set<string>>();
  readonly policies = new Map<PolicyId, DesiredPolicy>();
  readonly profiles = new Map<ProfileId, DesiredProfile>();
  readonly workloads = new Map<EndpointId, DesiredWorkloadEndpoint>();
  readonly hosts = new Map<EndpointId, DesiredHostEndpoint>();
  readonly routes = new Map<string, DesiredRoute>();
  #inSync = false;

  get inSync(): boolean {
    return this.#inSync;
  }

  onUpdate(update: DesiredUpdate): void {
    switch (update.type) {
      case 'ip-set':
        this.ipSets.set(update.id, new Set(update.members));
        break;
      case 'ip-set-delta':
        this.#changeMembers(update.id, update.added, update.removed);
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
      default:
        this.#onPlace(update);
    }
  }

  #onPlace(
    update: Exclude<DesiredUpdate, { type: `${'policy' | 'profile' | 'ip-set'}${string}` }>,
  ) {
    switch (update.type) {
      case 'workload-endpoint':
        this.workloads.set(update.id, update.endpoint);
        break;
      case 'workload-endpoint-remove':
        this.workloads.delete(update.id);
        break;
      case 'host-endpoint':
        this.hosts.set(update.id, update.endpoint);
        break;
      case 'host-endpoint-remove':
        this.hosts.delete(update.id);
        break;
      case 'route':
        this.routes.set(update.cidr, update.route);
        break;
      case 'route-remove':
        this.routes.delete(update.cidr);
        break;
      case 'host':
      case 'host-remove':
      case 'local-host':
      case 'local-host-remove':
      case 'pool':
      case 'pool-remove':
      case 'local-block':
      case 'local-block-remove':
      case 'block-route':
      case 'block-route-remove':
      case 'in-sync':
        this.#inSync = true;
        break;
      default:
        update satisfies never;
    }
  }

  #changeMembers(id: IpSetId, added: readonly string[], removed: readonly string[]): void {
    const members = this.ipSets.get(id);
    if (members === undefined) return;
    for (const member of added) members.add(member);
    for (const member of removed) members.delete(member);
  }
}
