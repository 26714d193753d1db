/**
 * The policy that every dataplane of a comparison is given: so many rules that do not match what is measured, in front
 * of the ones that do. Peers get it as values, Margay as manifests; both mean the same packets.
 */

/** TCP from the members of a source set to one port is allowed. */
export interface MissRule {
  /** Index into the sets. */
  readonly set: number;
  readonly port: number;
}

export interface Population {
  /** In their order; behind them come the two that match: TCP to the load tool's ports, and ICMP. */
  readonly misses: readonly MissRule[];
  /** IPv4 addresses, each a single one. None is a workload's. */
  readonly sets: readonly (readonly string[])[];
}

/** Where the load tool listens: echo and discard. Other ports are closed to everybody. */
export const OPEN_PORTS = { first: 9000, last: 9001 } as const;
/** Served by every workload of the lab, and opened by no rule: whoever reaches it has no policy. */
export const CLOSED_PORT = 5432;

const SETS = 256;
const SET_MEMBERS = 16;
const FIRST_PORT = 10_000;
const PORTS = 50_000;
const MATCHING_RULES = 2;
const RULES_PER_POLICY = 1000;

/** `rules` counts all, the two that match included; fewer than two are as two. */
export function populationOf(rules: number): Population {
  const misses = Array.from({ length: Math.max(0, rules - MATCHING_RULES) }, (_, index) => ({
    set: index % SETS,
    port: FIRST_PORT + (index % PORTS),
  }));
  const sets = Array.from({ length: Math.min(SETS, misses.length) }, (_, set) =>
    Array.from({ length: SET_MEMBERS }, (__, member) => `10.128.${set}.${member * 5}`),
  );
  return { misses, sets };
}

/** The same as resources: a network set per set, and policies of a thousand rules for the ingress of all workloads. */
export function populationManifest({ misses, sets }: Population): string {
  const apiVersion = 'projectcalico.org/v3';
  const networkSets = sets.map((members, set) => ({
    apiVersion,
    kind: 'GlobalNetworkSet',
    metadata: { name: `peers-${set}`, labels: { peers: `s${set}` } },
    spec: { nets: members.map((address) => `${address}/32`) },
  }));
  const rules = [
    ...misses.map(({ set, port }) => ({
      action: 'Allow',
      protocol: 'TCP',
      source: { selector: `peers == 's${set}'` },
      destination: { ports: [port] },
    })),
    {
      action: 'Allow',
      protocol: 'TCP',
      destination: { ports: [`${OPEN_PORTS.first}:${OPEN_PORTS.last}`] },
    },
    { action: 'Allow', protocol: 'ICMP' },
  ];
  const policies = Array.from({ length: Math.ceil(rules.length / RULES_PER_POLICY) }, (_, at) => ({
    apiVersion,
    kind: 'GlobalNetworkPolicy',
    metadata: { name: `rules-${at}` },
    spec: {
      order: at,
      selector: 'has(app)',
      types: ['Ingress'],
      ingress: rules.slice(at * RULES_PER_POLICY, (at + 1) * RULES_PER_POLICY),
    },
  }));
  return JSON.stringify([...networkSets, ...policies]);
}
