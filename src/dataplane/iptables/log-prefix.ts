/** What a line of a Log rule begins with: a template of the configuration, with the policy that the rule is in. */
import type { PolicyId, ProfileId } from '../../model/desired.js';

export interface LogOwner {
  /** '' of a profile. */
  readonly tier: string;
  readonly id: PolicyId | ProfileId;
  readonly isProfile: boolean;
}

/** iptables keeps 29 bytes, of which ': ' are two. */
const LENGTH_MAX = 27;
const KUBERNETES_PREFIX = 'knp.default.';

/** %t: the tier; %k: np, gnp, knp or pro; %n: the name; %p: the same with its namespace. Cut to what iptables keeps. */
export function logPrefix(template: string, { tier, id, isProfile }: LogOwner): string {
  const [first = '', ...rest] = isProfile ? ['Profile', id] : id.split('/');
  const name = rest.at(-1) ?? '';
  const kinds: Readonly<Record<string, string>> = {
    GlobalNetworkPolicy: 'gnp',
    NetworkPolicy: name.startsWith(KUBERNETES_PREFIX) ? 'knp' : 'np',
    Profile: 'pro',
  };
  const said: Readonly<Record<string, string>> = {
    t: tier,
    k: kinds[first] ?? first,
    n: name,
    p: rest.join('/'),
  };
  // Names of profiles may hold what ends a quoted text.
  const text = template.replace(/%([tknp])/g, (_, what: string) => said[what] ?? '');
  return `${text.replace(/[^\x20-\x7e]|["\\]/g, '_').slice(0, LENGTH_MAX)}: `;
}
