/** All rules of one address family on this host, from what is wanted and the interfaces there are. Pure. */
import type {
  DesiredHostEndpoint,
  DesiredTier,
  DesiredWorkloadEndpoint,
  EndpointId,
  IpFamily,
  PolicyStage,
} from '../../model/desired.js';
import {
  type AttachableInterface,
  attachHostEndpoints,
  WILDCARD_INTERFACE,
} from '../../model/host-endpoint-attachment.js';
import type { Chain } from './chains.js';
import {
  type HostChainsOptions,
  type HostState,
  type PolicedInterface,
  renderHostChains,
} from './host-chains.js';
import {
  type Direction,
  type LogRate,
  type RenderOptions,
  verdictChains,
} from './policy-chains.js';
import type { RenderedPolicies } from './rendered-policies.js';
import type { TableChains, TableName } from './table.js';

export interface RuleSetInput {
  readonly workloads: ReadonlyMap<EndpointId, DesiredWorkloadEndpoint>;
  readonly hosts: ReadonlyMap<EndpointId, DesiredHostEndpoint>;
  readonly interfaces: readonly AttachableInterface[];
}

export interface RuleSetOptions {
  readonly host: HostChainsOptions;
  readonly logPrefix: string;
  readonly logRate: LogRate | null;
}

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const STAGES: readonly PolicyStage[] = ['untracked', 'preDnat', 'normal', 'forward'];
const TABLES_OF: Readonly<Record<`${PolicyStage} ${Direction}`, readonly TableName[]>> = {
  'untracked ingress': ['raw'],
  'untracked egress': ['raw'],
  'preDnat ingress': ['mangle'],
  'preDnat egress': ['mangle'],
  'normal ingress': ['filter'],
  // Of packets whose destination has been translated only the mangle table knows the interface.
  'normal egress': ['mangle', 'filter'],
  'forward ingress': ['filter'],
  'forward egress': ['filter'],
};
/** What the wildcard host endpoint means for an interface that has just come. */
const OTHER_STAGES: readonly PolicyStage[] = ['preDnat', 'normal', 'forward'];

export function renderRuleSet(
  input: RuleSetInput,
  policies: RenderedPolicies,
  options: RuleSetOptions,
): Readonly<Record<TableName, TableChains>> {
  return new RuleSetRenderer(input, policies, options).render();
}

class RuleSetRenderer {
  readonly #input: RuleSetInput;
  readonly #policies: RenderedPolicies;
  readonly #options: RuleSetOptions;
  readonly #chains: Readonly<Record<TableName, Map<string, Chain>>> = {
    raw: new Map(),
    mangle: new Map(),
    nat: new Map(),
    filter: new Map(),
  };

  constructor(input: RuleSetInput, policies: RenderedPolicies, options: RuleSetOptions) {
    this.#input = input;
    this.#policies = policies;
    this.#options = options;
  }

  render(): Readonly<Record<TableName, TableChains>> {
    const state: HostState = {
      workloads: { ingress: this.#workloads('ingress'), egress: this.#workloads('egress') },
      ...this.#hosts(),
    };
    const tables = renderHostChains(state, this.#options.host);
    const complete = (name: TableName): TableChains => {
      const { chains, hooks } = tables[name];
      const policies = [...this.#chains[name].values()];
      const verdicts = policies.length === 0 ? [] : verdictChains(this.#options.host.marks);
      return { chains: [...verdicts, ...policies, ...chains], hooks };
    };
    return {
      raw: complete('raw'),
      mangle: complete('mangle'),
      nat: complete('nat'),
      filter: complete('filter'),
    };
  }

  /** The endpoint with the lower id has an interface that two claim (spec/networking.md 3). */
  #workloads(direction: Direction): ReadonlyMap<string, string> {
    const targets = new Map<string, string>();
    for (const [, endpoint] of [...this.#input.workloads].sort(byId)) {
      const { interfaceName, tiers, profiles } = endpoint;
      if (targets.has(interfaceName)) continue;
      const policySet = { direction, tiers, profiles };
      targets.set(interfaceName, this.#chain('filter', policySet));
    }
    return targets;
  }

  #hosts(): Pick<HostState, 'hosts' | 'others'> {
    const { hosts: endpoints, interfaces } = this.#input;
    const { byInterface } = attachHostEndpoints(endpoints, interfaces);
    const hosts = [...byInterface].flatMap(([interfaceName, { endpoint: id, stages }]) => {
      const endpoint = endpoints.get(id);
      return endpoint === undefined ? [] : [this.#policed(interfaceName, endpoint, stages)];
    });
    const wildcard = [...endpoints]
      .sort(byId)
      .find(([, { interfaceName }]) => interfaceName === WILDCARD_INTERFACE);
    const others =
      wildcard === undefined ? null : this.#policed(WILDCARD_INTERFACE, wildcard[1], OTHER_STAGES);
    return { hosts, others };
  }

  #policed(
    interfaceName: string,
    endpoint: DesiredHostEndpoint,
    stages: readonly PolicyStage[],
  ): PolicedInterface {
    const chains: Partial<Record<`${PolicyStage} ${Direction}`, string>> = {};
    for (const stage of STAGES) {
      if (!stages.includes(stage)) continue;
      for (const direction of DIRECTIONS) {
        const tiers = endpoint.tiers[stage].filter((tier) => tier[direction].length > 0);
        // Only the normal stage has a say without policies: it denies.
        if (tiers.length === 0 && stage !== 'normal') continue;
        chains[`${stage} ${direction}`] = this.#stageChain(stage, direction, tiers, endpoint);
      }
    }
    return { interfaceName, chains };
  }

  #stageChain(
    stage: PolicyStage,
    direction: Direction,
    tiers: readonly DesiredTier[],
    { profiles }: DesiredHostEndpoint,
  ): string {
    const policySet = { direction, tiers, profiles: stage === 'normal' ? profiles : null };
    const names = TABLES_OF[`${stage} ${direction}`].map((table) => this.#chain(table, policySet));
    return names[0] ?? '';
  }

  #chain(table: TableName, policySet: Parameters<RenderedPolicies['chainsOf']>[0]): string {
    const { host, logPrefix, logRate } = this.#options;
    const { family, marks } = host;
    const options: RenderOptions = {
      ...{ family, marks, logPrefix, logRate },
      // REJECT is for the filter table alone.
      denyAction: table === 'filter' ? host.denyAction : 'DROP',
    };
    return this.#policies.chainsOf(policySet, options, this.#chains[table]);
  }
}

const byId = ([a]: readonly [EndpointId, unknown], [b]: readonly [EndpointId, unknown]): number =>
  a < b ? -1 : 1;

/** For the callers that hold one rule set per family. */
export const FAMILIES: readonly IpFamily[] = [4, 6];
