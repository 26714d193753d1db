/** Chains of policy sets, rendered once and again only when a policy or profile in them changes. */
import type {
  DesiredPolicy,
  DesiredProfile,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../../model/desired.js';
import type { Chain } from './chains.js';
import {
  type PolicySet,
  policySetChain,
  type RenderOptions,
  renderPolicySet,
} from './policy-chains.js';

interface Entry {
  readonly policySet: PolicySet;
  readonly chains: readonly Chain[];
}

export class RenderedPolicies {
  readonly #policies = new Map<PolicyId, DesiredPolicy>();
  readonly #profiles = new Map<ProfileId, DesiredProfile>();
  readonly #isLarge: (id: IpSetId) => boolean;
  #entries = new Map<string, Entry>();
  /** Asked for since the last retain(). */
  #used = new Map<string, Entry>();
  readonly #changed = new Set<PolicyId | ProfileId>();

  constructor(isLarge: (id: IpSetId) => boolean) {
    this.#isLarge = isLarge;
  }

  setPolicy(id: PolicyId, policy: DesiredPolicy | null): void {
    if (policy === null) this.#policies.delete(id);
    else this.#policies.set(id, policy);
    this.#changed.add(id);
  }

  setProfile(id: ProfileId, profile: DesiredProfile | null): void {
    if (profile === null) this.#profiles.delete(id);
    else this.#profiles.set(id, profile);
    this.#changed.add(id);
  }

  /** Everything is rendered anew. */
  forget(): void {
    this.#entries.clear();
  }

  /** Drops what has changed; before the first chainsOf() of a round. */
  begin(): void {
    this.#used = new Map();
    if (this.#changed.size === 0) return;
    for (const [key, { policySet }] of this.#entries) {
      if (this.#concerns(policySet)) this.#entries.delete(key);
    }
    this.#changed.clear();
  }

  /** The chain that decides, and all that it needs, into `chains` by name. Returns the first one's name. */
  chainsOf(policySet: PolicySet, options: RenderOptions, chains: Map<string, Chain>): string {
    const name = policySetChain(policySet);
    if (chains.has(name)) return name;
    const key = `${options.family} ${options.denyAction} ${name}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const source = {
        ...{ policies: this.#policies, profiles: this.#profiles, isLarge: this.#isLarge },
      };
      entry = { policySet, chains: renderPolicySet(policySet, source, options) };
      this.#entries.set(key, entry);
    }
    this.#used.set(key, entry);
    for (const chain of entry.chains) chains.set(chain.name, chain);
    return name;
  }

  /** Forgets what no chainsOf() has asked for in this round. */
  end(): void {
    this.#entries = this.#used;
  }

  #concerns({ tiers, profiles, direction }: PolicySet): boolean {
    return (
      tiers.some((tier) => tier[direction].some((id) => this.#changed.has(id))) ||
      (profiles ?? []).some((id) => this.#changed.has(id))
    );
  }
}
