/** Decisions as hits of a policy trace (spec/flows.md 9): who decided, in which tier, and what. */
import type { Decision } from '../model/decision.js';
import type { DesiredPolicy, DesiredProfile, PolicyId, ProfileId } from '../model/desired.js';

export type PolicyKind =
  | 'CalicoNetworkPolicy'
  | 'GlobalNetworkPolicy'
  | 'NetworkPolicy'
  | 'Profile'
  | 'EndOfTier';
export type HitAction = 'Allow' | 'Deny' | 'Pass' | 'Log';

/** Field names as Goldmane's. */
export interface PolicyHit {
  readonly kind: PolicyKind;
  /** '__PROFILE__' for profiles. */
  readonly tier: string;
  readonly namespace: string;
  readonly name: string;
  readonly action: HitAction;
  readonly policy_index: number;
  /** -1 at the end of a tier, and where no profile decided. */
  readonly rule_index: number;
}

/** What is known of the rules behind ids. */
export interface RuleOwners {
  policy(id: PolicyId): DesiredPolicy | undefined;
  profile(id: ProfileId): DesiredProfile | undefined;
}

const PROFILE_TIER = '__PROFILE__';
const NO_MATCH = '__NO_MATCH__';
const KUBERNETES_PREFIX = 'knp.default.';
const ACTIONS = { allow: 'Allow', deny: 'Deny', pass: 'Pass', log: 'Log' } as const;
const SHORT: Readonly<Record<PolicyKind, string>> = {
  CalicoNetworkPolicy: 'np',
  GlobalNetworkPolicy: 'gnp',
  NetworkPolicy: 'knp',
  Profile: 'pro',
  EndOfTier: 'eot',
};

/** Log rules decide nothing and are left out. */
export function hitsOf(
  decisions: readonly Decision[],
  allow: boolean,
  owners: RuleOwners,
): readonly PolicyHit[] {
  const last = decisions.length - 1;
  return decisions
    .map((decision, i) => hitOf(decision, i === last ? (allow ? 'Allow' : 'Deny') : null, owners))
    .filter(({ action }) => action !== 'Log')
    .map((hit, policy_index) => ({ ...hit, policy_index }));
}

function hitOf(decision: Decision, final: HitAction | null, owners: RuleOwners): PolicyHit {
  const base = { namespace: '', policy_index: 0 };
  switch (decision.by) {
    case 'policy': {
      const policy = owners.policy(decision.id);
      const action = final ?? ruleAction(policy, decision);
      const rule_index = decision.index;
      return { ...base, ...policyName(decision.id), tier: policy?.tier ?? '', action, rule_index };
    }
    case 'profile': {
      const action = final ?? ruleAction(owners.profile(decision.id), decision);
      const { id: name, index: rule_index } = decision;
      return { ...base, kind: 'Profile', tier: PROFILE_TIER, name, action, rule_index };
    }
    case 'end-of-tier': {
      const { tier } = decision;
      return { ...base, kind: 'EndOfTier', tier, name: NO_MATCH, action: 'Deny', rule_index: -1 };
    }
    case 'missing-profile':
    case 'no-match': {
      const name = decision.by === 'no-match' ? NO_MATCH : decision.id;
      return { ...base, kind: 'Profile', tier: PROFILE_TIER, name, action: 'Deny', rule_index: -1 };
    }
    default:
      return decision satisfies never;
  }
}

/** On the way to the decision there are only Pass and Log rules. */
function ruleAction(
  owner: DesiredProfile | undefined,
  { direction, index }: Extract<Decision, { readonly index: number }>,
): HitAction {
  const rule = owner?.[direction].find((one) => one.index === index);
  return rule === undefined ? 'Pass' : ACTIONS[rule.action];
}

/** 'GlobalNetworkPolicy/name' or 'NetworkPolicy/namespace/name'. */
export function policyName(id: PolicyId): {
  readonly kind: PolicyKind;
  readonly namespace: string;
  readonly name: string;
} {
  const [kind = '', ...rest] = id.split('/');
  const name = rest.at(-1) ?? '';
  if (kind === 'GlobalNetworkPolicy') return { kind, namespace: '', name };
  const namespace = rest.length > 1 ? (rest[0] ?? '') : '';
  const isKubernetes = name.startsWith(KUBERNETES_PREFIX);
  return { kind: isKubernetes ? 'NetworkPolicy' : 'CalicoNetworkPolicy', namespace, name };
}

/** '0|default|np:shop/web-allow|allow|2'. */
export function formatHit(hit: PolicyHit): string {
  const { policy_index, tier, kind, namespace, name, action, rule_index } = hit;
  const place = namespace === '' ? name : `${namespace}/${name}`;
  return `${policy_index}|${tier}|${SHORT[kind]}:${place}|${action.toLowerCase()}|${rule_index}`;
}

/** For people: 'rule 2 of NetworkPolicy shop/web-allow (tier default)'. */
export function describeHit(hit: PolicyHit): string {
  const { kind, tier, namespace, name, rule_index } = hit;
  if (kind === 'EndOfTier') return `no rule of tier ${tier} matched`;
  if (rule_index < 0) {
    return name === NO_MATCH ? 'neither policy nor profile decided' : `profile ${name} is missing`;
  }
  if (kind === 'Profile') return `rule ${rule_index} of Profile ${name}`;
  const shown = kind === 'GlobalNetworkPolicy' ? kind : 'NetworkPolicy';
  const place = namespace === '' ? name : `${namespace}/${name}`;
  return `rule ${rule_index} of ${shown} ${place} (tier ${tier})`;
}
