/** NetworkPolicy to a Calico NetworkPolicy of order 1000 (spec/policy.md 12.2, 12.3). */
import { errorMessage } from '../../base/error.js';
import { parseCidr } from '../../base/net/cidr.js';
import { API_VERSION } from '../api/registry.js';
import { ConversionError, type Converted } from './converted.js';
import { namespaceSelectorText, podSelectorText } from './label-selector.js';
import {
  firstIssue,
  networkPolicy,
  type PolicyPeer,
  type PolicyPort,
  policyRule,
} from './schema.js';

const ORDER = 1000;

export type Port = number | string;

interface Side {
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
  readonly selector?: string;
  readonly namespaceSelector?: string;
  readonly ports?: readonly Port[];
}

interface Rule {
  readonly action: 'Allow';
  readonly protocol?: string;
  readonly source?: Side;
  readonly destination?: Side;
}

/** Rules of a policy have no host bits. */
export function maskedNetwork(text: string): string {
  const cidr = parseCidr(text, { allowHostBits: true });
  // Calico's converter would leave the peer empty, which is "anybody": the rule goes instead (decision 14).
  if (cidr === null) throw new ConversionError(`"${text}" is no CIDR`);
  return String(cidr.masked());
}

/** An empty peer is every pod of the policy's own namespace. */
function peerSide({ podSelector, namespaceSelector, ipBlock }: PolicyPeer): Side {
  if (ipBlock) {
    if (podSelector || namespaceSelector)
      throw new ConversionError('a peer has both ipBlock and a selector');
    const except = ipBlock.except ?? [];
    return {
      nets: [maskedNetwork(ipBlock.cidr)],
      ...(except.length === 0 ? {} : { notNets: except.map(maskedNetwork) }),
    };
  }
  const selector = podSelectorText(podSelector);
  return namespaceSelector
    ? { selector, namespaceSelector: namespaceSelectorText(namespaceSelector) }
    : { selector };
}

function portOf({ port, endPort }: PolicyPort): Port | null {
  if (endPort === null || endPort === undefined) return port ?? null;
  if (typeof port !== 'number') throw new ConversionError('endPort without a numeric port');
  if (endPort < port) throw new ConversionError(`endPort ${endPort} is below port ${port}`);
  return endPort === port ? port : `${port}:${endPort}`;
}

interface Match {
  /** Absent: any protocol. */
  readonly protocol?: string;
  /** Empty: all ports. */
  readonly ports: readonly Port[];
}

/** One match per protocol, in alphabetical order; an entry without port swallows the others of its protocol. */
function matchesOf(ports: readonly PolicyPort[]): readonly Match[] {
  if (ports.length === 0) return [{ ports: [] }];
  const byProtocol = new Map<string, Set<Port> | null>();
  for (const entry of ports) {
    const protocol = entry.protocol ?? 'TCP';
    const port = portOf(entry);
    const known = byProtocol.get(protocol);
    if (port === null) byProtocol.set(protocol, null);
    else if (known !== null) byProtocol.set(protocol, (known ?? new Set()).add(port));
  }
  return [...byProtocol]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([protocol, set]) => ({ protocol, ports: [...(set ?? [])] }));
}

/** The product of ports and peers; all of them Allow, so their order does not matter. */
function convertRule(input: unknown, peerField: 'source' | 'destination'): readonly Rule[] {
  const parsed = policyRule.safeParse(input ?? {});
  if (!parsed.success) throw new ConversionError(firstIssue(parsed.error));
  const peers = (peerField === 'source' ? parsed.data.from : parsed.data.to) ?? [];
  const sides: readonly Side[] = peers.length === 0 ? [{}] : peers.map(peerSide);
  return matchesOf(parsed.data.ports ?? []).flatMap(({ protocol, ports }) =>
    sides.map((side) => {
      const peer = Object.keys(side).length === 0 ? {} : { [peerField]: side };
      const own = peerField === 'destination' ? side : {};
      return {
        action: 'Allow',
        ...(protocol === undefined ? {} : { protocol }),
        ...peer,
        ...(ports.length === 0 ? {} : { destination: { ...own, ports } }),
      };
    }),
  );
}

/** Never throws. A rule that cannot be converted is left out, and its direction stays closed. */
export function convertNetworkPolicy(input: unknown): Converted {
  const parsed = networkPolicy.safeParse(input);
  if (!parsed.success) return { resource: null, warnings: [firstIssue(parsed.error)] };
  const { metadata, spec } = parsed.data;
  const warnings: string[] = [];
  const convertAll = (direction: 'ingress' | 'egress'): readonly Rule[] =>
    (spec[direction] ?? []).flatMap((rule, index) => {
      try {
        return convertRule(rule, direction === 'ingress' ? 'source' : 'destination');
      } catch (error) {
        if (!(error instanceof ConversionError)) throw error;
        warnings.push(`spec.${direction}[${index}] is left out: ${errorMessage(error)}`);
        return [];
      }
    });
  const ingress = convertAll('ingress');
  const egress = convertAll('egress');
  const types = spec.policyTypes?.length ? spec.policyTypes : (['Ingress'] as const);
  if (!spec.policyTypes?.length && egress.length > 0) {
    warnings.push('spec.egress has no effect: policyTypes does not name Egress');
  }
  const resource = {
    apiVersion: API_VERSION,
    kind: 'NetworkPolicy',
    metadata: {
      name: `knp.default.${metadata.name}`,
      namespace: metadata.namespace,
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    },
    spec: {
      order: ORDER,
      tier: 'default',
      selector: podSelectorText(spec.podSelector),
      types: [...new Set(types)],
      ...(ingress.length === 0 ? {} : { ingress }),
      ...(egress.length === 0 ? {} : { egress }),
    },
  } as const;
  return { resource, warnings };
}
