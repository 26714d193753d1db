import type { DesiredUpdate } from '../../model/desired.js';
import type { PolicyTables } from './tables/policy-tables.js';

/** What concerns the tables alone, and neither interfaces nor routes. */
export type PolicyUpdate = Extract<
  DesiredUpdate,
  { type: `ip-set${string}` | `policy${string}` | `profile${string}` }
>;

/** Records it for the next commit. */
export function recordPolicyUpdate(tables: PolicyTables, update: PolicyUpdate): void {
  switch (update.type) {
    case 'ip-set':
      tables.setIpSet(update.id, update.kind, update.members);
      break;
    case 'ip-set-delta':
      tables.applyIpSetDelta(update.id, update.added, update.removed);
      break;
    case 'ip-set-remove':
      tables.removeIpSet(update.id);
      break;
    case 'policy':
      tables.setPolicy(update.id, update.policy);
      break;
    case 'policy-remove':
      tables.removePolicy(update.id);
      break;
    case 'profile':
      tables.setProfile(update.id, update.profile);
      break;
    case 'profile-remove':
      tables.removeProfile(update.id);
      break;
    default:
      update satisfies never;
  }
}
