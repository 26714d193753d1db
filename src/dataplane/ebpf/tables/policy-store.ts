import type {
  DesiredPolicy,
  DesiredProfile,
  DesiredRule,
  DesiredTier,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../../../model/desired.js';
import type { AtomSource } from './address-classes.js';
import { atomKey } from './address-classes.js';
import type { IpSets } from './ip-sets.js';
import type { Segment, Term } from './policy-compiler.js';
import {
  type AtomTerm,
  anyPortSetsOf,
  type LocalFacts,
  type LocalUses,
  localUsesOf,
  remotePortSetsOf,
  setsOf,
  termsOf,
} from './rule-terms.js';
import type { Decision, Direction } from './traces.js';

/** What makes two local addresses be judged alike in one direction. */
export interface PolicySetSpec {
  readonly direction: Direction;
  /** Only tiers with a policy in this direction. */
  readonly tiers: readonly {
    readonly name: string;
    readonly defaultAction: 'deny' | 'pass';
    readonly policies: readonly PolicyId[];
  }[];
  readonly profiles: readonly ProfileId[];
  /** null: both addresses of a packet vary, as on a host endpoint. */
  readonly local: LocalFacts | null;
  /** What a packet meets that nothing decided; default: it is denied. */
  readonly end?: 'deny' | 'continue';
}

/** A spec in the form the compiler takes, with atoms still by source. */
export interface RuleList {
  readonly terms: readonly Term[];
  readonly segments: readonly Segment[];
}

/** Something the spec names was never sent: the direction is closed and reported. */
export class MissingReferentError extends Error {}

type Rules = Pick<DesiredPolicy, Direction>;

/** Policies and profiles as they were sent, and what specs make of them. */
export class PolicyStore {
  readonly policies = new Map<PolicyId, DesiredPolicy>();
  readonly profiles = new Map<ProfileId, DesiredProfile>();
  readonly #ipSets: IpSets;
  readonly #uses = new WeakMap<Rules, Map<Direction, LocalUses>>();

  constructor(ipSets: IpSets) {
    this.#ipSets = ipSets;
  }

  static tiersOf(tiers: readonly DesiredTier[], direction: Direction): PolicySetSpec['tiers'] {
    return tiers
      .filter((tier) => tier[direction].length > 0)
      .map(({ name, defaultAction, ...tier }) => ({
        name,
        defaultAction,
        policies: tier[direction],
      }));
  }

  /** What the rules of a spec ask about the local address. */
  localUses(spec: Omit<PolicySetSpec, 'local' | 'end'>): LocalUses[] {
    return this.#rulesOf(spec).map((rules) => {
      const known = this.#uses.get(rules) ?? new Map<Direction, LocalUses>();
      this.#uses.set(rules, known);
      const uses = known.get(spec.direction) ?? localUsesOf(rules[spec.direction], spec.direction);
      known.set(spec.direction, uses);
      return uses;
    });
  }

  /** IP sets whose arrival, removal or (ports) change of content changes the compiled rules. */
  setsOf(spec: PolicySetSpec): { readonly all: Set<IpSetId>; readonly ports: Set<IpSetId> } {
    const rules = this.#rulesOf(spec).flatMap((list) => list[spec.direction]);
    return {
      all: new Set(rules.flatMap(setsOf)),
      ports: new Set(
        rules.flatMap((rule) =>
          spec.local === null ? anyPortSetsOf(rule) : remotePortSetsOf(rule, spec.direction),
        ),
      ),
    };
  }

  /** Throws MissingReferentError. */
  ruleList(spec: PolicySetSpec, acquire: (source: AtomSource) => number): RuleList {
    const terms: Term[] = [];
    const segments: Segment[] = [];
    const { direction } = spec;
    const append = (rules: Rules, decisionOf: (rule: DesiredRule) => Decision): void => {
      for (const rule of rules[direction]) {
        this.#requireSets(rule, decisionOf(rule));
        const decision = decisionOf(rule);
        for (const term of termsOf(rule, { ...spec, ipSets: this.#ipSets })) {
          const { destination, source } = term;
          const far = idsOf(term, acquire);
          const near = idsOf(term.near, acquire);
          terms.push({ action: rule.action, decision, ...far, near, destination, source });
        }
      }
    };
    for (const tier of spec.tiers) {
      for (const id of tier.policies) {
        const policy = this.policies.get(id);
        if (policy === undefined) throw new MissingReferentError(`policy ${id} is not known`);
        append(policy, ({ index }) => ({ by: 'policy', id, direction, index }));
      }
      const denial: Decision = { by: 'end-of-tier', tier: tier.name, direction };
      segments.push({ end: terms.length, denial: tier.defaultAction === 'deny' ? denial : null });
    }
    for (const id of spec.profiles) {
      const profile = this.profiles.get(id);
      if (profile === undefined) {
        const denial: Decision = { by: 'missing-profile', id, direction };
        segments.push({ end: terms.length, denial });
        return { terms, segments };
      }
      append(profile, ({ index }) => ({ by: 'profile', id, direction, index }));
      segments.push({ end: terms.length, denial: null });
    }
    const denial: Decision | null = spec.end === 'continue' ? null : { by: 'no-match', direction };
    segments.push({ end: terms.length, denial });
    return { terms, segments };
  }

  #requireSets(rule: DesiredRule, decision: Decision): void {
    const missing = setsOf(rule).find((id) => this.#ipSets.get(id) === undefined);
    if (missing === undefined) return;
    const owner = 'id' in decision ? decision.id : '';
    throw new MissingReferentError(
      `${decision.by} ${owner}, ${decision.direction} rule ${rule.index}: IP set ${missing} is not known`,
    );
  }

  #rulesOf(spec: Omit<PolicySetSpec, 'local' | 'end'>): Rules[] {
    const policies = spec.tiers.flatMap((tier) => tier.policies.map((id) => this.policies.get(id)));
    const profiles = spec.profiles.map((id) => this.profiles.get(id));
    return [...policies, ...profiles].filter((rules) => rules !== undefined);
  }
}

export function specKey(spec: PolicySetSpec): string {
  const { direction, tiers, profiles, local, end = 'deny' } = spec;
  return JSON.stringify([direction, tiers, profiles, local?.key ?? null, end]);
}

function idsOf({ positive, negative }: AtomTerm, acquire: (source: AtomSource) => number) {
  return { positive: positive.map(acquire), negative: negative.map(acquire) };
}

/** Acquires each source once per program and lists what was acquired. */
export class AtomLease {
  readonly #ids = new Map<string, number>();
  readonly #acquire: (source: AtomSource) => number;

  constructor(acquire: (source: AtomSource) => number) {
    this.#acquire = acquire;
  }

  readonly get = (source: AtomSource): number => {
    const key = atomKey(source);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#acquire(source);
    this.#ids.set(key, id);
    return id;
  };

  ids(): Iterable<number> {
    return this.#ids.values();
  }
}
