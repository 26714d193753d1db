import type {
  DesiredPolicy,
  DesiredProfile,
  DesiredTier,
  PolicyId,
  ProfileId,
} from '../../../model/desired.js';
import type { AtomSource } from './address-classes.js';
import type { IpSets } from './ip-sets.js';
import type { Segment, Term } from './policy-compiler.js';
import { type KeyedAtom, PreparedRules, type RuleUses } from './prepared-rules.js';
import type { LocalUses, NearSide } from './rule-terms.js';
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
  readonly local: NearSide;
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
type Owner =
  | { readonly by: 'policy'; readonly id: PolicyId }
  | { readonly by: 'profile'; readonly id: ProfileId };

/** Policies and profiles as they were sent, and what specs make of them. */
export class PolicyStore {
  readonly policies = new Map<PolicyId, DesiredPolicy>();
  readonly profiles = new Map<ProfileId, DesiredProfile>();
  readonly #ipSets: IpSets;
  readonly #prepared: Readonly<Record<Direction, WeakMap<Rules, Map<string, PreparedRules>>>> = {
    ingress: new WeakMap(),
    egress: new WeakMap(),
  };
  #portsVersion = 1;

  constructor(ipSets: IpSets) {
    this.#ipSets = ipSets;
  }

  /** Some named-port set defines other ports than before. */
  onPortsChanged(): void {
    this.#portsVersion++;
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
    return this.#rulesOf(spec).map(({ local }) => local);
  }

  /** IP sets whose arrival, removal or (ports) change of content changes the compiled rules. */
  usesOf(spec: PolicySetSpec): readonly RuleUses[] {
    return this.#rulesOf(spec).map((rules) => rules.uses(spec.local));
  }

  /** Throws MissingReferentError. */
  ruleList(spec: PolicySetSpec, acquire: (atom: KeyedAtom) => number): RuleList {
    const terms: Term[] = [];
    const segments: Segment[] = [];
    const { direction, local } = spec;
    const seen = new Set<Rules>();
    const append = (rules: Rules, owner: Owner): void => {
      // Decisions of a policy that is listed twice are not one: what was logged twice was logged twice.
      const prepared = seen.has(rules)
        ? prepare(rules, direction, owner)
        : this.#prepare(rules, direction, owner);
      seen.add(rules);
      this.#requireSets(prepared, direction, owner);
      for (const term of prepared.terms(local, this.#ipSets, this.#portsVersion)) {
        terms.push(term.withAtoms(acquire));
      }
    };
    for (const tier of spec.tiers) {
      for (const id of tier.policies) {
        const policy = this.policies.get(id);
        if (policy === undefined) throw new MissingReferentError(`policy ${id} is not known`);
        append(policy, { by: 'policy', id });
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
      append(profile, { by: 'profile', id });
      segments.push({ end: terms.length, denial: null });
    }
    const denial: Decision | null = spec.end === 'continue' ? null : { by: 'no-match', direction };
    segments.push({ end: terms.length, denial });
    return { terms, segments };
  }

  #requireSets(prepared: PreparedRules, direction: Direction, { by, id }: Owner): void {
    const missing = prepared.missing(this.#ipSets);
    if (missing === null) return;
    throw new MissingReferentError(
      `${by} ${id}, ${direction} rule ${missing.rule.index}: IP set ${missing.id} is not known`,
    );
  }

  #rulesOf({ tiers, profiles, direction }: Omit<PolicySetSpec, 'local' | 'end'>): PreparedRules[] {
    const prepared: PreparedRules[] = [];
    for (const { policies } of tiers) {
      for (const id of policies) {
        const rules = this.policies.get(id);
        if (rules !== undefined)
          prepared.push(this.#prepare(rules, direction, { by: 'policy', id }));
      }
    }
    for (const id of profiles) {
      const rules = this.profiles.get(id);
      if (rules !== undefined)
        prepared.push(this.#prepare(rules, direction, { by: 'profile', id }));
    }
    return prepared;
  }

  #prepare(rules: Rules, direction: Direction, owner: Owner): PreparedRules {
    let byOwner = this.#prepared[direction].get(rules);
    if (byOwner === undefined) {
      byOwner = new Map();
      this.#prepared[direction].set(rules, byOwner);
    }
    // Policies and profiles may have one name, but not one object: of each kind the name is enough.
    const known = byOwner.get(owner.id);
    if (known !== undefined) return known;
    const made = prepare(rules, direction, owner);
    byOwner.set(owner.id, made);
    return made;
  }
}

function prepare(rules: Rules, direction: Direction, owner: Owner): PreparedRules {
  return new PreparedRules(rules[direction], direction, ({ index }) => ({
    ...owner,
    direction,
    index,
  }));
}

export function specKey(spec: PolicySetSpec): string {
  const { direction, tiers, profiles, local, end = 'deny' } = spec;
  return JSON.stringify([direction, tiers, profiles, local.key, end]);
}

/** Acquires each source once per program and lists what was acquired. */
export class AtomLease {
  readonly #ids = new Map<string, number>();
  readonly #acquire: (source: AtomSource) => number;

  constructor(acquire: (source: AtomSource) => number) {
    this.#acquire = acquire;
  }

  readonly get = ({ key, source }: KeyedAtom): number => {
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
