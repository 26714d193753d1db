/**
 * Turns the rules of active policies and profiles into what the dataplane enforces, and keeps alive the IP sets
 * they need. Does not decide which are active, nor who is a member.
 */
import type {
  DesiredPolicy,
  DesiredProfile,
  DesiredRule,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../model/desired.js';
import type { IpSetDefinition } from './ip-set-member-index.js';
import { appliesTo } from './policy-direction.js';
import { convertRule } from './rule-conversion.js';
import type { PolicySpec, ProfileSpec, Rule } from './stored-objects.js';

export interface RuleListener {
  onIpSetActive(definition: IpSetDefinition): void;
  onIpSetInactive(id: IpSetId): void;
  onPolicyRules(id: PolicyId, policy: DesiredPolicy | null): void;
  onProfileRules(id: ProfileId, profile: DesiredProfile | null): void;
}

export interface ActivePolicy {
  /** Null for global policies. */
  readonly namespace: string | null;
  readonly tier: string;
  readonly spec: PolicySpec;
}

type Owner = PolicyId | ProfileId;
interface Scanned {
  readonly rules: readonly DesiredRule[];
  readonly ipSets: readonly IpSetDefinition[];
}

export class RuleScanner {
  readonly #listener: RuleListener;
  readonly #ipSetsByOwner = new Map<Owner, ReadonlySet<IpSetId>>();
  readonly #references = new Map<IpSetId, number>();
  readonly #unused = new Set<IpSetId>();

  constructor(listener: RuleListener) {
    this.#listener = listener;
  }

  onActivePolicy(id: PolicyId, policy: ActivePolicy | null): void {
    if (policy === null) {
      this.#refer(id, []);
      this.#listener.onPolicyRules(id, null);
      return;
    }
    const { namespace, tier, spec } = policy;
    const { ingress, egress } = appliesTo(spec);
    const scanned = {
      ingress: scan(ingress ? spec.ingress : [], namespace),
      egress: scan(egress ? spec.egress : [], namespace),
    };
    this.#refer(id, [...scanned.ingress.ipSets, ...scanned.egress.ipSets]);
    this.#listener.onPolicyRules(id, {
      tier,
      ingress: scanned.ingress.rules,
      egress: scanned.egress.rules,
    });
  }

  onActiveProfile(id: ProfileId, profile: ProfileSpec | null): void {
    if (profile === null) {
      this.#refer(id, []);
      this.#listener.onProfileRules(id, null);
      return;
    }
    const ingress = scan(profile.ingress, null);
    const egress = scan(profile.egress, null);
    this.#refer(id, [...ingress.ipSets, ...egress.ipSets]);
    this.#listener.onProfileRules(id, { ingress: ingress.rules, egress: egress.rules });
  }

  /**
   * Gives up sets that nothing refers to any more. Only now, so that a policy replaced within a batch finds its
   * sets still there.
   */
  flush(): void {
    for (const id of this.#unused) this.#listener.onIpSetInactive(id);
    this.#unused.clear();
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      owners: this.#ipSetsByOwner.size,
      ipSets: this.#references.size,
      unused: this.#unused.size,
    };
  }

  #refer(owner: Owner, definitions: readonly IpSetDefinition[]): void {
    const before = this.#ipSetsByOwner.get(owner) ?? new Set();
    const after = new Map(definitions.map((definition) => [definition.id, definition]));
    for (const [id, definition] of after) if (!before.has(id)) this.#acquire(id, definition);
    for (const id of before) if (!after.has(id)) this.#release(id);
    if (after.size === 0) this.#ipSetsByOwner.delete(owner);
    else this.#ipSetsByOwner.set(owner, new Set(after.keys()));
  }

  #acquire(id: IpSetId, definition: IpSetDefinition): void {
    const references = this.#references.get(id) ?? 0;
    this.#references.set(id, references + 1);
    if (references === 0 && !this.#unused.delete(id)) this.#listener.onIpSetActive(definition);
  }

  #release(id: IpSetId): void {
    const references = this.#references.get(id) ?? 0;
    if (references > 1) this.#references.set(id, references - 1);
    else if (this.#references.delete(id)) this.#unused.add(id);
  }
}

function scan(rules: readonly Rule[] | undefined, namespace: string | null): Scanned {
  const converted = (rules ?? []).map((rule, index) => convertRule(rule, index, namespace));
  return {
    rules: converted.flatMap((one) => one.rules),
    ipSets: converted.flatMap((one) => one.ipSets),
  };
}
