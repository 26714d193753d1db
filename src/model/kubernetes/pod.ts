/** Pods to workload endpoints (spec/policy.md 12.5; spec/resources.md 8.1, 9.11). */
import { createHash } from 'node:crypto';
import { formatIp, parseIp } from '../../base/net/ip.js';
import { API_VERSION } from '../api/registry.js';
import { endpointName } from '../api/workload-endpoint-name.js';
import type { Converted } from './converted.js';
import { namespaceProfileName, serviceAccountProfileName } from './profiles.js';
import { firstIssue, type Pod, pod } from './schema.js';

const ENDPOINT = 'eth0';
const LABEL_VALUE_MAX = 63;
const FINISHED = new Set(['Succeeded', 'Failed']);

/** Host side of a pod's link: the prefix and the first 11 hexadecimal digits of SHA-1 of 'namespace.name'. */
export function podInterfaceName(prefix: string, namespace: string, name: string): string {
  const digest = createHash('sha1').update(`${namespace}.${name}`).digest('hex');
  return prefix + digest.slice(0, 11);
}

/** Of both families, as full-length networks; a finished pod has none any more. */
function networksOf({ metadata, status }: Pod): readonly string[] {
  if (FINISHED.has(status?.phase ?? '')) return [];
  const annotated = metadata.annotations?.['cni.projectcalico.org/podIP'];
  const texts = status?.podIPs?.length
    ? status.podIPs.map(({ ip }) => ip)
    : [status?.podIP ?? annotated?.split('/')[0] ?? ''];
  return texts.flatMap((text) => {
    const ip = parseIp(text);
    return ip === null ? [] : [`${formatIp(ip)}/${ip.family === 4 ? 32 : 128}`];
  });
}

function portsOf({ spec }: Pod): readonly unknown[] {
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])]
    .flatMap(({ ports }) => ports ?? [])
    .flatMap(({ name, containerPort, protocol }) =>
      name ? [{ name, protocol: protocol ?? 'TCP', port: containerPort }] : [],
    );
}

function labelsOf({ metadata, spec }: Pod): Readonly<Record<string, string>> {
  const account = spec.serviceAccountName ?? '';
  return {
    ...metadata.labels,
    'projectcalico.org/namespace': metadata.namespace,
    'projectcalico.org/orchestrator': 'k8s',
    ...(account !== '' && account.length <= LABEL_VALUE_MAX
      ? { 'projectcalico.org/serviceaccount': account }
      : {}),
  };
}

export interface PodOptions {
  /** First of the agent's interface prefixes. */
  readonly interfacePrefix?: string;
}

/** No endpoint for pods in the host's own network, and for those no host has taken yet. */
export function convertPod(
  input: unknown,
  { interfacePrefix = 'cali' }: PodOptions = {},
): Converted {
  const parsed = pod.safeParse(input);
  if (!parsed.success) return { resource: null, warnings: [firstIssue(parsed.error)] };
  const { metadata, spec } = parsed.data;
  if (spec.hostNetwork === true || !spec.nodeName) return { resource: null, warnings: [] };
  const { name, namespace } = metadata;
  const identity = { orchestrator: 'k8s', node: spec.nodeName, pod: name, endpoint: ENDPOINT };
  const named = endpointName(identity);
  if (!named.ok) {
    const { field, reason } = named.problem;
    return { resource: null, warnings: [`the endpoint cannot be named, ${field} ${reason}`] };
  }
  const ports = portsOf(parsed.data);
  const account = spec.serviceAccountName;
  return {
    resource: {
      apiVersion: API_VERSION,
      kind: 'WorkloadEndpoint',
      metadata: { name: named.name, namespace, labels: labelsOf(parsed.data) },
      spec: {
        ...identity,
        interfaceName: podInterfaceName(interfacePrefix, namespace, name),
        ipNetworks: networksOf(parsed.data),
        profiles: [
          namespaceProfileName(namespace),
          ...(account ? [serviceAccountProfileName(namespace, account)] : []),
        ],
        ...(account ? { serviceAccountName: account } : {}),
        ...(ports.length === 0 ? {} : { ports }),
      },
    },
    warnings: [],
  };
}
