/** Rules as their authors wrote them, by the ids that calc uses. */
import type { Decision, Direction } from '../../../model/decision.js';
import type { Resource } from '../../../model/update.js';
import { ruleText } from '../../../observe/rule-text.js';

export interface RulePlace {
  /** 'NetworkPolicy/shop/db', 'GlobalNetworkPolicy/x', or a profile's name. */
  readonly owner: string;
  readonly direction: Direction;
  readonly index: number;
}

export class RuleBook {
  readonly #owners = new Map<string, Resource>();

  constructor(resources: readonly Resource[]) {
    for (const resource of resources) {
      const id = ownerId(resource);
      if (id !== null) this.#owners.set(id, resource);
    }
  }

  /** 'NetworkPolicy shop/db', 'Profile kns.shop'. */
  ownerName(id: string): string {
    const resource = this.#owners.get(id);
    if (resource === undefined) return id;
    const { name, namespace } = resource.metadata;
    const place = resource.kind === 'NetworkPolicy' ? `${namespace}/${name}` : name;
    return `${resource.kind} ${place}`;
  }

  /** 'rule 0 of NetworkPolicy shop/db (Allow TCP from app == "web" to ports 80)'. */
  describe({ owner, direction, index }: RulePlace): string {
    const spec = (this.#owners.get(owner)?.spec ?? {}) as Readonly<Record<string, unknown>>;
    const rules = spec[direction];
    const text = Array.isArray(rules) && index < rules.length ? ` (${ruleText(rules[index])})` : '';
    return `${direction} rule ${index} of ${this.ownerName(owner)}${text}`;
  }
}

function ownerId({ kind, metadata }: Resource): string | null {
  const { name, namespace } = metadata;
  if (kind === 'NetworkPolicy') return `${kind}/${namespace}/${name}`;
  if (kind === 'GlobalNetworkPolicy') return `${kind}/${name}`;
  return kind === 'Profile' ? name : null;
}

export function describeDecision(decision: Decision, rules: RuleBook): string {
  switch (decision.by) {
    case 'policy':
    case 'profile': {
      const { id: owner, direction, index } = decision;
      return rules.describe({ owner, direction, index });
    }
    case 'end-of-tier':
      return `end of tier ${decision.tier}, none of whose rules decided`;
    case 'missing-profile':
      return `profile ${decision.id} does not exist`;
    case 'no-match':
      return 'neither a policy nor a profile decided';
    default:
      return decision satisfies never;
  }
}
