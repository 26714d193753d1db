/**
 * What the cluster-scoped policies of Kubernetes have in common, whatever their version: subject, peers, and what
 * becomes of a rule that is not understood (spec/policy.md 15.4).
 */
import { z } from 'zod';
import { errorMessage } from '../../base/error.js';
import { API_VERSION } from '../api/registry.js';
import { ConversionError, type Converted } from './converted.js';
import { namespaceSelectorText, POD_TERM, podSelectorText } from './label-selector.js';
import { maskedNetwork, type Port } from './network-policy.js';
import { firstIssue, labelSelector } from './schema.js';

/** Holds for pods and network sets alone, so that no negative term reaches what has no namespace (decision 17). */
const NAMESPACED_TERM = 'has(projectcalico.org/namespace)';
/** Where a rule's name is kept; it decides nothing. */
const RULE_NAME_ANNOTATION = 'policy.networking.k8s.io/rule-name';

const namespacedPods = z.object({ namespaceSelector: labelSelector, podSelector: labelSelector });

/** Exactly one is set. Unknown fields are kinds of peers that a later version of the API may have: not understood. */
const ingressPeer = z.strictObject({
  namespaces: labelSelector.nullish(),
  pods: namespacedPods.nullish(),
});
const egressPeer = ingressPeer.extend({ networks: z.array(z.string()).min(1).nullish() });
type Peer = z.infer<typeof egressPeer>;

export const subject = z.object({
  namespaces: labelSelector.nullish(),
  pods: namespacedPods.nullish(),
});
type Subject = z.infer<typeof subject>;

/** What each version's rules have beside their ports. */
export const clusterRule = z.object({
  name: z.string().nullish(),
  from: z.array(ingressPeer).min(1).nullish(),
  to: z.array(egressPeer).min(1).nullish(),
});

export type ClusterAction = 'Allow' | 'Deny' | 'Pass';
type Direction = 'ingress' | 'egress';

/** What a version of the API reads of one rule. Throws what is not understood. */
export interface ReadClusterRule {
  readonly rule: z.infer<typeof clusterRule>;
  readonly action: ClusterAction;
  /** Empty: everything. */
  readonly matches: readonly PortMatch[];
}

export interface PortMatch {
  /** Absent for a named port, which is of whatever protocol the pod says. */
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
  /** Absent: every port of the protocol. */
  readonly port?: Port;
}

export interface ClusterPolicyInput {
  readonly metadata: { readonly name: string; readonly uid?: string };
  readonly tier: string;
  readonly order: number;
  readonly spec: {
    readonly subject: unknown;
    readonly ingress?: readonly unknown[] | null | undefined;
    readonly egress?: readonly unknown[] | null | undefined;
  };
  readonly readRule: (input: unknown) => ReadClusterRule;
  /** How this version writes Allow. */
  readonly allow: string;
}

interface Side {
  readonly selector?: string;
  readonly namespaceSelector?: string;
  readonly nets?: readonly string[];
  readonly ports?: readonly Port[];
}

interface Rule {
  readonly action: ClusterAction;
  readonly protocol?: string;
  readonly source?: Side;
  readonly destination?: Side;
  readonly metadata?: { readonly annotations: Readonly<Record<string, string>> };
}

export const priority = z.number().int().min(0).max(1000);

/** Never throws. */
export function convertClusterPolicy(input: ClusterPolicyInput): Converted {
  const { metadata, tier, order, spec } = input;
  const selected = subject.safeParse(spec.subject);
  const selectors = selected.success ? subjectSelectors(selected.data) : undefined;
  if (selectors === undefined) {
    const reason = selected.success
      ? 'must have one of namespaces and pods'
      : firstIssue(selected.error);
    return { resource: null, warnings: [`spec.subject ${reason}`] };
  }
  const warnings: string[] = [];
  const ingress = convertRules(input, 'ingress', warnings);
  const egress = convertRules(input, 'egress', warnings);
  if (ingress.length + egress.length === 0) return { resource: null, warnings };
  const resource = {
    apiVersion: API_VERSION,
    kind: 'GlobalNetworkPolicy',
    metadata,
    spec: {
      tier,
      order,
      ...selectors,
      types: [
        ...(ingress.length === 0 ? [] : ['Ingress']),
        ...(egress.length === 0 ? [] : ['Egress']),
      ],
      ...(ingress.length === 0 ? {} : { ingress }),
      ...(egress.length === 0 ? {} : { egress }),
    },
  } as const;
  return { resource, warnings };
}

function subjectSelectors({ namespaces, pods }: Subject): Side | undefined {
  if (namespaces && !pods) {
    return { selector: POD_TERM, namespaceSelector: namespaceSelectorText(namespaces) };
  }
  return pods && !namespaces ? podsSide(pods) : undefined;
}

function podsSide({ namespaceSelector, podSelector }: z.infer<typeof namespacedPods>): Side {
  return {
    selector: podSelectorText(podSelector),
    namespaceSelector: namespaceSelectorText(namespaceSelector),
  };
}

/** What is not understood never widens what is allowed: Allow is left out, all else denies everything at its place. */
function convertRules(
  { spec, readRule, allow }: ClusterPolicyInput,
  direction: Direction,
  warnings: string[],
): readonly Rule[] {
  return (spec[direction] ?? []).flatMap((rule, index): readonly Rule[] => {
    try {
      return product(readRule(rule), direction);
    } catch (error) {
      if (!(error instanceof ConversionError)) throw error;
      const allows =
        typeof rule === 'object' && rule !== null && 'action' in rule && rule.action === allow;
      const outcome = allows ? 'is left out' : 'denies everything';
      warnings.push(`spec.${direction}[${index}] ${outcome}: ${errorMessage(error)}`);
      return allows ? [] : [{ action: 'Deny' }];
    }
  });
}

/** Of peers and ports; all have one action, so that their order does not matter. */
function product({ rule, action, matches }: ReadClusterRule, direction: Direction): Rule[] {
  const peers = direction === 'ingress' ? rule.from : rule.to;
  if (!peers) throw new ConversionError(`${direction === 'ingress' ? 'from' : 'to'} is required`);
  const metadata = rule.name ? { annotations: { [RULE_NAME_ANNOTATION]: rule.name } } : undefined;
  const grouped = groupMatches(matches);
  return peers.flatMap(peerSides).flatMap((side) =>
    grouped.map(({ protocol, ports }) => {
      const toPorts = ports.length === 0 ? {} : { ports };
      const sides =
        direction === 'ingress'
          ? { source: side, ...(ports.length === 0 ? {} : { destination: toPorts }) }
          : { destination: { ...side, ...toPorts } };
      return {
        action,
        ...(protocol === undefined ? {} : { protocol }),
        ...sides,
        ...(metadata === undefined ? {} : { metadata }),
      };
    }),
  );
}

/** Networks of both families are two sides: a rule of ours has nets of one. */
function peerSides({ namespaces, pods, networks }: Peer): readonly Side[] {
  const given = [namespaces, pods, networks].filter((part) => part !== null && part !== undefined);
  if (given.length !== 1) {
    throw new ConversionError(`a peer must have one kind of peer, found ${given.length}`);
  }
  if (namespaces) {
    const namespaceSelector = namespaceSelectorText(namespaces);
    return [{ selector: NAMESPACED_TERM, namespaceSelector }];
  }
  if (pods) return [podsSide(pods)];
  const nets = (networks ?? []).map(maskedNetwork);
  return [false, true]
    .map((isIpv6) => ({ nets: nets.filter((net) => net.includes(':') === isIpv6) }))
    .filter((side) => side.nets.length > 0);
}

interface GroupedMatch {
  readonly protocol: string | undefined;
  /** Empty: every port. */
  readonly ports: readonly Port[];
}

/** By protocol; an entry without port swallows the others of its protocol. */
function groupMatches(matches: readonly PortMatch[]): readonly GroupedMatch[] {
  if (matches.length === 0) return [{ protocol: undefined, ports: [] }];
  const groups = new Map<string | undefined, Set<Port> | null>();
  for (const { protocol, port } of matches) {
    const known = groups.get(protocol);
    if (port === undefined) groups.set(protocol, null);
    else if (known !== null) groups.set(protocol, (known ?? new Set()).add(port));
  }
  return [...groups].map(([protocol, ports]) => ({ protocol, ports: [...(ports ?? [])] }));
}

/** The one of these fields that is there. */
export function onlyField<Name extends string>(
  names: readonly Name[],
  value: Readonly<Partial<Record<Name, unknown>>>,
): Name {
  const given = names.filter((name) => value[name] !== null && value[name] !== undefined);
  const [only] = given;
  if (only === undefined || given.length > 1) {
    throw new ConversionError(`must have one of ${names.join(', ')}, found ${given.length}`);
  }
  return only;
}

/** From the first to the last port, as policies write it. */
export function portRange(first: number, last: number): Port {
  if (last < first) throw new ConversionError(`a port range ends at ${last}, before ${first}`);
  return first === last ? first : `${first}:${last}`;
}

export function understood<Output>(schema: z.ZodType<Output>, input: unknown): Output {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw new ConversionError(firstIssue(parsed.error));
  return parsed.data;
}
