/**
 * What policy says of a packet at one endpoint, step by step, and what would change it: from what calc said, by the
 * order of spec/policy.md 5.2. Slow and plain; the kernel's tables are compiled from the same, by other code.
 */
import type { Decision, Direction } from '../model/decision.js';
import type { DesiredRule, DesiredTier, PolicyId, ProfileId } from '../model/desired.js';
import type { DesiredPicture } from './desired-picture.js';
import type { FlowPacket } from './flow-packet.js';
import { mismatches } from './rule-match.js';

/** What of an endpoint policy hangs on. */
export interface JudgedEndpoint {
  readonly tiers: readonly DesiredTier[];
  readonly profiles: readonly ProfileId[];
}

/** A rule that would allow what was not allowed, or the other way round, but for some criteria. */
export interface NearMiss {
  readonly owner: PolicyId | ProfileId;
  readonly index: number;
  readonly action: 'allow' | 'deny' | 'pass';
  /** Why it does not match, one sentence each. */
  readonly because: readonly string[];
}

/** One policy, profile or tier's end that the packet met. */
export interface Step {
  readonly tier: string | null;
  readonly owner: PolicyId | ProfileId | null;
  /** null: no rule of it matched. */
  readonly decision: Decision | null;
  readonly action: 'allow' | 'deny' | 'pass' | null;
}

export interface Explanation {
  readonly direction: Direction;
  readonly allow: boolean;
  readonly log: boolean;
  /** Log and Pass rules on the way, then what decided; as the kernel's trace has it. Empty: closed for an error. */
  readonly decisions: readonly Decision[];
  readonly steps: readonly Step[];
  /** Rules with the opposite outcome that a single criterion keeps from deciding before. */
  readonly nearMisses: readonly NearMiss[];
  /** Without the rule that decided; null where no rule did. */
  readonly otherwise: { readonly allow: boolean; readonly decision: Decision | null } | null;
  /** A referent is missing: the direction is closed. */
  readonly error: string | null;
}

interface Question {
  readonly picture: DesiredPicture;
  readonly endpoint: JudgedEndpoint;
  readonly direction: Direction;
  readonly packet: FlowPacket;
  /** A rule to pass over. */
  readonly without?: { readonly owner: string; readonly index: number };
}

interface Verdict {
  readonly allow: boolean;
  readonly log: boolean;
  readonly decisions: readonly Decision[];
  readonly steps: readonly Step[];
  readonly passedOver: readonly NearMiss[];
}

export function explain(question: Question): Explanation {
  const { direction } = question;
  const error = missingReferent(question);
  if (error !== null) {
    const nothing = { decisions: [], steps: [], nearMisses: [], otherwise: null };
    return { direction, allow: false, log: false, ...nothing, error };
  }
  const verdict = new Walk(question).run();
  const last = verdict.decisions.at(-1);
  const opposite = verdict.allow ? 'deny' : 'allow';
  return {
    ...{ direction, allow: verdict.allow, log: verdict.log, decisions: verdict.decisions },
    steps: verdict.steps,
    nearMisses: verdict.passedOver.filter(
      ({ action, because }) => action === opposite && because.length === 1,
    ),
    otherwise: last === undefined ? null : withoutRule(question, last),
    error: null,
  };
}

function withoutRule(question: Question, last: Decision): Explanation['otherwise'] {
  if (last.by !== 'policy' && last.by !== 'profile') return null;
  const without = { owner: last.id, index: last.index };
  const { allow, decisions } = new Walk({ ...question, without }).run();
  return { allow, decision: decisions.at(-1) ?? null };
}

/** A policy or an IP set that is not known closes the direction; a missing profile denies at its place only. */
function missingReferent({ picture, endpoint, direction }: Question): string | null {
  const ids = endpoint.tiers.flatMap((tier) => tier[direction]);
  const missing = ids.find((id) => !picture.policies.has(id));
  if (missing !== undefined) return `${missing} is not known`;
  const absent = endpoint.profiles.findIndex((id) => !picture.profiles.has(id));
  const reached = absent < 0 ? endpoint.profiles : endpoint.profiles.slice(0, absent);
  const rules = [
    ...ids.map((id) => picture.policies.get(id)),
    ...reached.map((id) => picture.profiles.get(id)),
  ].flatMap((owner) => owner?.[direction] ?? []);
  const sets = rules
    .flatMap(({ source = {}, destination = {} }) => [source, destination])
    .flatMap((side) => [side.ipSets, side.notIpSets, side.namedPorts, side.notNamedPorts])
    .flatMap((list) => list ?? []);
  const unknown = sets.find((id) => !picture.ipSets.has(id));
  return unknown === undefined ? null : `IP set ${unknown} is not known`;
}

type Outcome = 'allow' | 'deny' | 'pass' | null;

/** Goes through tiers and profiles once. */
class Walk {
  readonly #question: Question;
  readonly #trail: Decision[] = [];
  readonly #steps: Step[] = [];
  readonly #passedOver: NearMiss[] = [];
  #log = false;

  constructor(question: Question) {
    this.#question = question;
  }

  run(): Verdict {
    const { endpoint } = this.#question;
    for (const tier of endpoint.tiers) {
      const outcome = this.#tier(tier);
      if (outcome === 'allow' || outcome === 'deny') return this.#verdict(outcome);
    }
    for (const id of endpoint.profiles) {
      const outcome = this.#profile(id);
      if (outcome === 'allow' || outcome === 'deny') return this.#verdict(outcome);
    }
    this.#end(null, { by: 'no-match', direction: this.#question.direction }, 'deny');
    return this.#verdict('deny');
  }

  #tier(tier: DesiredTier): Outcome {
    const { picture, direction } = this.#question;
    const ids = tier[direction];
    if (ids.length === 0) return null;
    for (const id of ids) {
      const rules = picture.policies.get(id)?.[direction] ?? [];
      const found = this.#rules(rules, (index) => ({ by: 'policy', id, direction, index }), id);
      this.#steps.push({ tier: tier.name, owner: id, ...found });
      if (found.action !== null) return found.action;
    }
    const end: Decision = { by: 'end-of-tier', tier: tier.name, direction };
    this.#end(tier.name, end, tier.defaultAction);
    return tier.defaultAction;
  }

  #profile(id: ProfileId): Outcome {
    const { picture, direction } = this.#question;
    const profile = picture.profiles.get(id);
    if (profile === undefined) {
      this.#end(null, { by: 'missing-profile', id, direction }, 'deny');
      return 'deny';
    }
    const at = (index: number): Decision => ({ by: 'profile', id, direction, index });
    const found = this.#rules(profile[direction], at, id);
    this.#steps.push({ tier: null, owner: id, ...found });
    return found.action;
  }

  #rules(
    rules: readonly DesiredRule[],
    at: (index: number) => Decision,
    owner: PolicyId | ProfileId,
  ): Pick<Step, 'decision' | 'action'> {
    const { packet, picture, without } = this.#question;
    for (const rule of rules) {
      if (without?.owner === owner && without.index === rule.index) continue;
      const because = mismatches(rule, packet, (id) => picture.ipSets.get(id));
      const { action, index } = rule;
      if (because.length > 0) {
        if (action !== 'log') this.#passedOver.push({ owner, index, action, because });
        continue;
      }
      this.#trail.push(at(index));
      if (action !== 'log') return { decision: at(index), action };
      this.#log = true;
    }
    return { decision: null, action: null };
  }

  /** Where no rule decided. A tier that passes at its end leaves no trace, as in the kernel. */
  #end(tier: string | null, decision: Decision, action: 'deny' | 'pass'): void {
    this.#steps.push({ tier, owner: null, decision, action });
    if (action === 'deny') this.#trail.push(decision);
  }

  #verdict(outcome: 'allow' | 'deny'): Verdict {
    return {
      allow: outcome === 'allow',
      log: this.#log,
      decisions: this.#trail,
      steps: this.#steps,
      passedOver: this.#passedOver,
    };
  }
}
