/** Remembers the rules in force, and for a while those that were: connections outlive them. */
import type {
  DesiredPolicy,
  DesiredProfile,
  DesiredUpdate,
  PolicyId,
  ProfileId,
} from '../../model/desired.js';
import type { RuleOwners } from '../../observe/policy-attribution.js';

/** Removed owners that are kept, oldest forgotten first. */
const REMOVED_MAX = 10_000;

export class KnownRules implements RuleOwners {
  readonly #policies = new Map<PolicyId, DesiredPolicy>();
  readonly #profiles = new Map<ProfileId, DesiredProfile>();
  readonly #removedPolicies = new Map<PolicyId, DesiredPolicy>();
  readonly #removedProfiles = new Map<ProfileId, DesiredProfile>();

  onUpdate(update: DesiredUpdate): void {
    switch (update.type) {
      case 'policy':
        this.#policies.set(update.id, update.policy);
        this.#removedPolicies.delete(update.id);
        break;
      case 'policy-remove':
        retire(update.id, this.#policies, this.#removedPolicies);
        break;
      case 'profile':
        this.#profiles.set(update.id, update.profile);
        this.#removedProfiles.delete(update.id);
        break;
      case 'profile-remove':
        retire(update.id, this.#profiles, this.#removedProfiles);
        break;
      default:
    }
  }

  policy(id: PolicyId): DesiredPolicy | undefined {
    return this.#policies.get(id) ?? this.#removedPolicies.get(id);
  }

  profile(id: ProfileId): DesiredProfile | undefined {
    return this.#profiles.get(id) ?? this.#removedProfiles.get(id);
  }
}

function retire<Id, Owner>(id: Id, present: Map<Id, Owner>, removed: Map<Id, Owner>): void {
  const owner = present.get(id);
  if (owner === undefined) return;
  present.delete(id);
  removed.set(id, owner);
  const [oldest] = removed.keys();
  if (removed.size > REMOVED_MAX && oldest !== undefined) removed.delete(oldest);
}
