/**
 * Ordered policies as chains (spec/policy.md 5): tiers, the end of a tier, profiles, the end of all. A chain of a
 * policy set is called for one packet of one endpoint and direction; it drops what is denied, and returns with the
 * accepted mark set for what is allowed, without it where no policy had a say. Pure; equal lists share their chains.
 */
import type {
  DesiredPolicy,
  DesiredProfile,
  DesiredRule,
  DesiredTier,
  IpFamily,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../../model/desired.js';
import { type Chain, CHAIN_PREFIX, chainName, rule } from './chains.js';
import { type LogOwner, logPrefix } from './log-prefix.js';
import { type MarkBits, markClear, markSet } from './marks.js';
import { matchesOf } from './rule-matches.js';
import { runMatches } from './rule-runs.js';
import type { SetUse } from './set-use.js';

export type Direction = 'ingress' | 'egress';

/** What decides about one endpoint in one direction at one stage. */
export interface PolicySet {
  readonly direction: Direction;
  readonly tiers: readonly DesiredTier[];
  /** Null: a stage that knows no profiles, and lets pass what no tier decided. */
  readonly profiles: readonly ProfileId[] | null;
}

export interface PolicySource {
  readonly policies: ReadonlyMap<PolicyId, DesiredPolicy>;
  readonly profiles: ReadonlyMap<ProfileId, DesiredProfile>;
  readonly isLarge: (id: IpSetId) => boolean;
}

export interface RenderOptions {
  readonly family: IpFamily;
  readonly marks: MarkBits;
  /** 'DROP' or 'REJECT'. */
  readonly denyAction: string;
  readonly logPrefix: string;
  /** Of lines of each Log rule; null: one for every packet that it matches. */
  readonly logRate: LogRate | null;
}

/** So many lines in so long, after a burst at once. */
export interface LogRate {
  readonly lines: number;
  readonly unit: 'second' | 'minute' | 'hour' | 'day';
  readonly burst: number;
}

/** Sets the accepted mark. Reached by goto, so it ends the chain that went there. */
export const ALLOW_CHAIN = `${CHAIN_PREFIX}allow`;
const PASS_CHAIN = `${CHAIN_PREFIX}pass`;
/** A policy with more rules has a chain of its own, which all that list it share. */
const INLINE_RULES_MAX = 64;

/** The chains that every policy set's chains go to. */
export function verdictChains(marks: MarkBits): readonly Chain[] {
  const setting = (name: string, bit: number): Chain => ({
    name,
    rules: [`-j MARK --set-xmark ${markSet(bit)}`],
    sets: [],
  });
  return [setting(ALLOW_CHAIN, marks.accepted), setting(PASS_CHAIN, marks.passed)];
}

/** The name under which renderPolicySet() puts the chain that decides. */
export function policySetChain({ direction, tiers, profiles }: PolicySet): string {
  return chainName(
    direction === 'ingress' ? 'pi' : 'po',
    relevantTiers(tiers, direction),
    profiles,
  );
}

const relevantTiers = (
  tiers: readonly DesiredTier[],
  direction: Direction,
): readonly (readonly [string, readonly PolicyId[]])[] =>
  tiers
    .filter((tier) => tier[direction].length > 0)
    .map((tier) => [tier.defaultAction, tier[direction]]);

/** The chain that decides, first, and those that it calls. */
export function renderPolicySet(
  policySet: PolicySet,
  source: PolicySource,
  options: RenderOptions,
): readonly Chain[] {
  return new PolicySetRenderer(policySet, source, options).render();
}

/** One action's neighbours, or a policy with a chain of its own. */
type Segment = { readonly rules: readonly DesiredRule[] } | { readonly policy: PolicyId };

class PolicySetRenderer {
  readonly #policySet: PolicySet;
  readonly #source: PolicySource;
  readonly #options: RenderOptions;
  readonly #called = new Map<string, Chain>();
  /** Of Log rules, whose lines may say it. */
  readonly #owners = new Map<DesiredRule, LogOwner>();

  constructor(policySet: PolicySet, source: PolicySource, options: RenderOptions) {
    this.#policySet = policySet;
    this.#source = source;
    this.#options = options;
  }

  render(): readonly Chain[] {
    const { direction, tiers, profiles } = this.#policySet;
    const lines: string[] = [];
    const sets: SetUse[] = [];
    let isOpenEnded = true;
    for (const tier of tiers) {
      if (tier[direction].length === 0) continue;
      const chain = this.#tierChain(tier);
      lines.push(`-j ${chain.name}`, rule(this.#marked('accepted'), '-j RETURN'));
      isOpenEnded = tier.defaultAction === 'pass' || hasReturn(chain);
      if (!isOpenEnded) break;
    }
    if (profiles !== null && isOpenEnded) {
      lines.push(...this.#profileCalls(profiles), `-j ${this.#options.denyAction}`);
    }
    const name = policySetChain(this.#policySet);
    return [{ name, rules: lines, sets }, ...this.#called.values()];
  }

  #marked(bit: 'accepted' | 'passed'): string {
    return `-m mark --mark ${markSet(this.#options.marks[bit])}`;
  }

  /** Returns with the accepted mark, or without it: the next tier. */
  #tierChain({ defaultAction, ...tier }: DesiredTier): Chain {
    const { direction } = this.#policySet;
    const ids = tier[direction];
    const name = chainName(direction === 'ingress' ? 'ti' : 'to', defaultAction, ids);
    for (const id of ids) this.#own({ tier: tier.name, id, isProfile: false });
    const body = this.#body(this.#segments(ids), '-j RETURN');
    const clear = body.lines.some((line) => line.includes(markSet(this.#options.marks.passed)))
      ? [`-j MARK --set-xmark ${markClear(this.#options.marks.passed)}`]
      : [];
    const end = defaultAction === 'deny' ? [`-j ${this.#options.denyAction}`] : [];
    return this.#keep({ name, rules: [...clear, ...body.lines, ...end], sets: body.sets });
  }

  #own(owner: LogOwner): void {
    const { policies, profiles } = this.#source;
    const held = owner.isProfile
      ? profiles.get(owner.id as ProfileId)
      : policies.get(owner.id as PolicyId);
    for (const one of held?.[this.#policySet.direction] ?? []) {
      if (one.action === 'log') this.#owners.set(one, owner);
    }
  }

  /** Small policies one after the other as if they were one; large ones by themselves. */
  #segments(ids: readonly PolicyId[]): readonly Segment[] {
    const segments: Segment[] = [];
    let small: DesiredRule[] = [];
    for (const id of ids) {
      const rules = this.#source.policies.get(id)?.[this.#policySet.direction] ?? [];
      if (rules.length <= INLINE_RULES_MAX) {
        small.push(...rules);
        continue;
      }
      segments.push({ rules: small }, { policy: id });
      small = [];
    }
    return [...segments, { rules: small }];
  }

  #body(segments: readonly Segment[], pass: string): { lines: string[]; sets: SetUse[] } {
    const lines: string[] = [];
    const sets: SetUse[] = [];
    for (const segment of segments) {
      const part =
        'rules' in segment ? this.#rules(segment.rules, pass) : this.#call(segment.policy);
      lines.push(...part.lines);
      sets.push(...part.sets);
    }
    return { lines, sets };
  }

  /** A policy's own chain, and what its answers mean to the tier. */
  #call(id: PolicyId): { lines: readonly string[]; sets: readonly SetUse[] } {
    const { direction } = this.#policySet;
    const rules = this.#source.policies.get(id)?.[direction] ?? [];
    const name = chainName(direction === 'ingress' ? 'ci' : 'co', id);
    const body = this.#rules(rules, `-g ${PASS_CHAIN}`);
    this.#keep({ name, rules: body.lines, sets: body.sets });
    const passes = rules.some(({ action }) => action === 'pass');
    const lines = [`-j ${name}`, rule(this.#marked('accepted'), '-j RETURN')];
    if (passes) lines.push(rule(this.#marked('passed'), '-j RETURN'));
    return { lines, sets: [] };
  }

  #rules(
    rules: readonly DesiredRule[],
    pass: string,
  ): { lines: readonly string[]; sets: readonly SetUse[] } {
    const lines: string[] = [];
    const sets: SetUse[] = [];
    for (const run of runsOf(rules)) {
      if (run.action === 'log') {
        for (const one of run.rules) {
          const found = matchesOf(one, this.#options.family);
          lines.push(...found.matches.map((match) => rule(match, this.#log(one))));
          sets.push(...found.sets);
        }
        continue;
      }
      const found = this.#merged(run.rules);
      const action = this.#action(run.action, pass);
      lines.push(...found.matches.map((match) => rule(match, action)));
      sets.push(...found.sets);
    }
    return { lines, sets };
  }

  #merged(rules: readonly DesiredRule[]): ReturnType<typeof runMatches> {
    const { family } = this.#options;
    const { isLarge } = this.#source;
    return runMatches(rules, { family, direction: this.#policySet.direction, isLarge });
  }

  #log(one: DesiredRule): string {
    const { logRate, logPrefix: template } = this.#options;
    const owner = this.#owners.get(one);
    const prefix = owner === undefined ? `${template}: ` : logPrefix(template, owner);
    return `${logLimit(logRate)}-j LOG --log-prefix "${prefix}" --log-level 5`;
  }

  #action(action: Exclude<DesiredRule['action'], 'log'>, pass: string): string {
    switch (action) {
      case 'allow':
        return `-g ${ALLOW_CHAIN}`;
      case 'deny':
        return `-j ${this.#options.denyAction}`;
      case 'pass':
        return pass;
      default:
        return action satisfies never;
    }
  }

  /** In order; what passes or matches nothing goes on with the next one. A missing profile denies. */
  #profileCalls(ids: readonly ProfileId[]): readonly string[] {
    const { direction } = this.#policySet;
    const lines: string[] = [];
    for (const id of ids) {
      const profile = this.#source.profiles.get(id);
      if (profile === undefined) return [...lines, `-j ${this.#options.denyAction}`];
      const rules = profile[direction];
      if (rules.length === 0) continue;
      this.#own({ tier: '', id, isProfile: true });
      const name = chainName(direction === 'ingress' ? 'fi' : 'fo', id);
      const body = this.#rules(rules, '-j RETURN');
      this.#keep({ name, rules: body.lines, sets: body.sets });
      lines.push(`-j ${name}`, rule(this.#marked('accepted'), '-j RETURN'));
    }
    return lines;
  }

  #keep(chain: Chain): Chain {
    this.#called.set(chain.name, chain);
    return chain;
  }
}

/** As iptables-save says them. */
const LIMIT_UNITS = { second: 'sec', minute: 'min', hour: 'hour', day: 'day' } as const;
/** The burst that iptables takes without being told, and does not say. */
const BURST_DEFAULT = 5;

function logLimit(rate: LogRate | null): string {
  if (rate === null) return '';
  const burst = rate.burst === BURST_DEFAULT ? '' : ` --limit-burst ${Math.max(1, rate.burst)}`;
  return `-m limit --limit ${rate.lines}/${LIMIT_UNITS[rate.unit]}${burst} `;
}

const hasReturn = (chain: Chain): boolean =>
  chain.rules.some((line) => line.endsWith('-j RETURN') || line.includes(PASS_CHAIN));

/** Neighbours with one action. */
function runsOf(
  rules: readonly DesiredRule[],
): { readonly action: DesiredRule['action']; readonly rules: DesiredRule[] }[] {
  const runs: { readonly action: DesiredRule['action']; readonly rules: DesiredRule[] }[] = [];
  for (const one of rules) {
    const last = runs.at(-1);
    if (last?.action === one.action) last.rules.push(one);
    else runs.push({ action: one.action, rules: [one] });
  }
  return runs;
}
