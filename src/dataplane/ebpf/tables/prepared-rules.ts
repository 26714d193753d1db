import type { DesiredRule, IpSetId, RuleAction } from '../../../model/desired.js';
import { type AtomSource, atomKey } from './address-classes.js';
import type { IpSets } from './ip-sets.js';
import type { AtomsAsked, Term } from './policy-compiler.js';
import {
  type AtomTerm,
  anyPortSetsOf,
  isOneAddress,
  type LocalFacts,
  type LocalUses,
  localUsesOf,
  type NearSide,
  type RuleTerm,
  remotePortSetsOf,
  setsOf,
  termsOf,
} from './rule-terms.js';
import type { Decision, Direction } from './traces.js';

export interface KeyedAtom {
  readonly key: string;
  readonly source: AtomSource;
}

interface KeyedAtoms {
  readonly positive: readonly KeyedAtom[];
  readonly negative: readonly KeyedAtom[];
}

/** A product of a rule, its atoms by source. */
export class PreparedTerm {
  readonly #far: KeyedAtoms;
  readonly #near: KeyedAtoms;
  #term: Term;

  /** `decision`: the same object for every term of one rule, and for every set that has the rule. */
  constructor(term: RuleTerm, action: RuleAction, decision: Decision) {
    const { destination, source } = term;
    this.#far = keyedAtoms(term);
    this.#near = keyedAtoms(term.near);
    // No atom has number 0.
    const [far, near] = [numbered(this.#far, () => 0), numbered(this.#near, () => 0)];
    this.#term = { action, decision, ...far, near, destination, source };
  }

  /** The same object as before as long as the atoms have the same numbers, which is for as long as rules name them. */
  withAtoms(acquire: (atom: KeyedAtom) => number): Term {
    const isFarSame = isNumbered(this.#term, this.#far, acquire);
    const isNearSame = isNumbered(this.#term.near, this.#near, acquire);
    if (isFarSame && isNearSame) return this.#term;
    const near = numbered(this.#near, acquire);
    this.#term = { ...this.#term, ...numbered(this.#far, acquire), near };
    return this.#term;
  }
}

const keyed = (source: AtomSource): KeyedAtom => ({ key: atomKey(source), source });

const keyedAtoms = ({ positive, negative }: AtomTerm): KeyedAtoms => ({
  positive: positive.map(keyed),
  negative: negative.map(keyed),
});

const numbered = (
  { positive, negative }: KeyedAtoms,
  acquire: (atom: KeyedAtom) => number,
): AtomsAsked => ({ positive: positive.map(acquire), negative: negative.map(acquire) });

/** Acquires all of them, whatever they turn out to be. */
function isNumbered(
  known: AtomsAsked,
  atoms: KeyedAtoms,
  acquire: (atom: KeyedAtom) => number,
): boolean {
  let isSame = true;
  for (const side of ['positive', 'negative'] as const) {
    const list = atoms[side];
    for (let i = 0; i < list.length; i++) {
      const atom = list[i];
      if (atom !== undefined && acquire(atom) !== known[side][i]) isSame = false;
    }
  }
  return isSame;
}

/** IP sets that rules name. */
export interface RuleUses {
  /** All of them: whether they are there matters. */
  readonly all: ReadonlySet<IpSetId>;
  /** Sets of named ports asked about a side that is not folded in: which ports they define matters, too. */
  readonly ports: ReadonlySet<IpSetId>;
}

/** Answers about local addresses that are remembered; there are as many as rules tell local addresses apart. */
const LOCAL_ANSWERS_MAX = 64;

/**
 * The rules of one policy or profile in one direction, made ready once for the hundreds of policy sets that contain
 * them: terms depend on nothing but the answers about the local address and the ports that named-port sets define.
 */
export class PreparedRules {
  readonly local: LocalUses;
  readonly #uses: Readonly<Record<'folded' | 'unfolded', RuleUses>>;
  readonly #rules: readonly DesiredRule[];
  readonly #direction: Direction;
  readonly #decisions: readonly Decision[];
  readonly #terms = new Map<string, readonly PreparedTerm[]>();
  #portsVersion = 0;

  constructor(
    rules: readonly DesiredRule[],
    direction: Direction,
    decisionOf: (rule: DesiredRule) => Decision,
  ) {
    this.#rules = rules;
    this.#direction = direction;
    this.#decisions = rules.map(decisionOf);
    this.local = localUsesOf(rules, direction);
    const all = new Set(rules.flatMap(setsOf));
    const remote = new Set(rules.flatMap((rule) => remotePortSetsOf(rule, direction)));
    this.#uses = {
      folded: { all, ports: remote },
      unfolded: { all, ports: new Set(rules.flatMap(anyPortSetsOf)) },
    };
  }

  /** As seen from a local address, or from any. */
  uses(local: NearSide): RuleUses {
    return isOneAddress(local) ? this.#uses.folded : this.#uses.unfolded;
  }

  /** The first rule that names an IP set that was never sent. */
  missing(ipSets: IpSets): { readonly rule: DesiredRule; readonly id: IpSetId } | null {
    const isMissing = (id: IpSetId): boolean => ipSets.get(id) === undefined;
    for (const id of this.#uses.folded.all) {
      if (!isMissing(id)) continue;
      for (const rule of this.#rules) {
        const first = setsOf(rule).find(isMissing);
        if (first !== undefined) return { rule, id: first };
      }
    }
    return null;
  }

  /** As seen from a local address, or from any. `portsVersion`: another for other ports in a named-port set. */
  terms(local: NearSide, ipSets: IpSets, portsVersion: number): readonly PreparedTerm[] {
    const asksPorts = this.#uses.unfolded.ports.size > 0;
    if (asksPorts && this.#portsVersion !== portsVersion) this.#terms.clear();
    this.#portsVersion = portsVersion;
    const key = isOneAddress(local) ? answersKey(this.local, local) : local.key;
    const known = this.#terms.get(key);
    if (known !== undefined) return known;
    const terms = this.#rules.flatMap((rule, index): PreparedTerm[] => {
      const decision = this.#decisions[index];
      if (decision === undefined) return [];
      return termsOf(rule, { direction: this.#direction, local, ipSets }).map(
        (term) => new PreparedTerm(term, rule.action, decision),
      );
    });
    if (this.#terms.size >= LOCAL_ANSWERS_MAX) this.#terms.clear();
    this.#terms.set(key, terms);
    return terms;
  }
}

/** Of all the facts, those that these rules ask for; what a rule is depends on the family, too. */
function answersKey({ sets, nets, portSets }: LocalUses, local: LocalFacts): string {
  if (sets.size + nets.size + portSets.size === 0) return `${local.family}`;
  const held = [...sets].filter((id) => local.sets.has(id));
  const inside = [...nets.keys()].filter((key) => local.nets.has(key));
  const ports = [...portSets].map((id) => (local.ports.get(id) ?? []).join('+'));
  return [[local.family], held, inside, ports].map((part) => part.join(';')).join('|');
}
