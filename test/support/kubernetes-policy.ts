/** Kubernetes NetworkPolicies in Calico form, the slow and obvious way (spec/policy.md 12.2 to 12.4). */
import type {
  KubernetesPeer,
  KubernetesRule,
  KubernetesSelector,
  WorldPolicy,
  WorldRule,
} from './policy-world.js';

const POD = `projectcalico.org/orchestrator == 'k8s'`;

function terms({ matchLabels = {}, matchExpressions = [] }: KubernetesSelector): string[] {
  const quoted = (values: readonly string[] = []): string =>
    values.map((value) => `'${value}'`).join(', ');
  return [
    ...Object.keys(matchLabels)
      .sort()
      .map((key) => `${key} == '${matchLabels[key]}'`),
    ...matchExpressions.map(({ key, operator, values }) => {
      if (operator === 'In') return `${key} in { ${quoted(values)} }`;
      if (operator === 'NotIn') return `${key} not in { ${quoted(values)} }`;
      return operator === 'Exists' ? `has(${key})` : `! has(${key})`;
    }),
  ];
}

const podSelector = (selector: KubernetesSelector = {}): string =>
  [POD, ...terms(selector)].join(' && ');

function peerSide(peer: KubernetesPeer): Record<string, unknown> {
  if (peer.ipBlock !== undefined) {
    return { nets: [peer.ipBlock.cidr], notNets: peer.ipBlock.except ?? [] };
  }
  const selector = podSelector(peer.podSelector);
  if (peer.namespaceSelector === undefined) return { selector };
  return { selector, namespaceSelector: terms(peer.namespaceSelector).join(' && ') || 'all()' };
}

function rulesOf(rule: KubernetesRule, peerField: 'source' | 'destination'): WorldRule[] {
  const peers = (peerField === 'source' ? rule.from : rule.to) ?? [];
  const sides = peers.length === 0 ? [{}] : peers.map(peerSide);
  const ports = rule.ports ?? [];
  const matches = ports.length === 0 ? [undefined] : ports;
  return matches.flatMap((match) =>
    sides.map((side) => {
      const result: WorldRule = { action: 'Allow', [peerField]: { ...side } };
      if (match === undefined) return result;
      result['protocol'] = match.protocol ?? 'TCP';
      if (match.port === undefined) return result;
      const port = match.endPort === undefined ? match.port : `${match.port}:${match.endPort}`;
      const destination = peerField === 'destination' ? side : {};
      result['destination'] = { ...destination, ports: [port] };
      return result;
    }),
  );
}

/** A KNP as the NP that Calico makes of it; whatever else as it is. */
export function asCalico(policy: WorldPolicy): WorldPolicy {
  if (policy.kind !== 'KNP') return policy;
  const { podSelector: pods, policyTypes = [], ingress = [], egress = [] } = policy.spec ?? {};
  return {
    kind: 'NP',
    ns: policy.ns ?? 'default',
    name: `knp.default.${policy.name}`,
    order: 1000,
    selector: podSelector(pods),
    types: policyTypes.length === 0 ? ['Ingress'] : policyTypes,
    ingress: ingress.flatMap((rule) => rulesOf(rule, 'source')),
    egress: egress.flatMap((rule) => rulesOf(rule, 'destination')),
  };
}
