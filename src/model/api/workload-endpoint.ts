/** WorkloadEndpoint: one interface of a workload (spec/resources.md 9.11). */
import * as z from 'zod';
import { ipBits } from '../../base/net/ip.js';
import type { Definition, Draft, NamespacedOf, SpecOf } from './definition.js';
import { endpointProtocol } from './host-endpoint.js';
import { NAMESPACE_LABEL } from './metadata.js';
import type { Report } from './problem.js';
import { object, text, whole, withRules } from './schema.js';
import { containerId, interfaceName, mac, nameReference, portName } from './value-name.js';
import { cidr, ip, ipv4, ipv6, net, parseNetwork } from './value-net.js';
import { dscp } from './value-number.js';
import { endpointName } from './workload-endpoint-name.js';

export const ORCHESTRATOR_LABEL = 'projectcalico.org/orchestrator';
export const SERVICE_ACCOUNT_LABEL = 'projectcalico.org/serviceaccount';

const singleAddress = text((value) => {
  const parsed = parseNetwork(value);
  if (parsed === null) return 'is not a CIDR or IP address';
  return parsed.prefixLength === ipBits(parsed.family)
    ? undefined
    : 'contains multiple addresses: an endpoint has single ones, /32 or /128';
}, 'one address: an IP, or a CIDR of full length');

const endpointPort = withRules(
  object({
    name: portName.optional(),
    protocol: endpointProtocol,
    port: whole(1, 65535),
    hostPort: whole(0, 65535).default(0),
    hostIP: net.default(''),
  }),
  ({ name, hostPort }, report) => {
    if (name === undefined && hostPort === 0) report(['name'], undefined, 'is required');
  },
);

const QOS_LIMITS = [
  'Bandwidth',
  'Burst',
  'Peakrate',
  'Minburst',
  'PacketRate',
  'PacketBurst',
  'MaxConnections',
] as const;
type QosField = `${'ingress' | 'egress'}${(typeof QOS_LIMITS)[number]}`;

const limit = whole(0).optional();
const qosFields = Object.fromEntries(
  (['ingress', 'egress'] as const).flatMap((side) =>
    QOS_LIMITS.map((name) => [`${side}${name}`, limit]),
  ),
) as Record<QosField, typeof limit>;

const spec = () =>
  object({
    orchestrator: nameReference,
    node: nameReference,
    workload: nameReference.optional(),
    pod: nameReference.optional(),
    containerID: containerId.optional(),
    endpoint: nameReference,
    ipNetworks: z.array(singleAddress).optional(),
    ipNATs: z.array(object({ internalIP: ip.default(''), externalIP: ip.default('') })).optional(),
    ipv4Gateway: ipv4.optional(),
    ipv6Gateway: ipv6.optional(),
    profiles: z.array(nameReference).optional(),
    interfaceName: interfaceName,
    mac: mac.optional(),
    ports: z.array(endpointPort).optional(),
    serviceAccountName: nameReference.optional(),
    allowSpoofedSourcePrefixes: z.array(cidr).optional(),
    qosControls: object({ ...qosFields, dscp: dscp.optional() }).optional(),
  });

export type WorkloadEndpointSpec = SpecOf<typeof spec>;
export type WorkloadEndpoint = NamespacedOf<'WorkloadEndpoint', WorkloadEndpointSpec>;

/** Fills in the name and the labels that no workload may choose for itself. */
function complete({ metadata, spec }: Draft<WorkloadEndpointSpec>): Draft<WorkloadEndpointSpec> {
  const named = endpointName(spec);
  const name = metadata.name ?? (named.ok ? named.name : undefined);
  const labels: Record<string, string> = {
    ...metadata.labels,
    [ORCHESTRATOR_LABEL]: spec.orchestrator,
  };
  if (metadata.namespace !== undefined) labels[NAMESPACE_LABEL] = metadata.namespace;
  if (spec.serviceAccountName !== undefined) {
    labels[SERVICE_ACCOUNT_LABEL] = spec.serviceAccountName;
  }
  return { metadata: { ...metadata, ...(name === undefined ? {} : { name }), labels }, spec };
}

function check({ metadata, spec }: Draft<WorkloadEndpointSpec>, report: Report): void {
  const named = endpointName(spec);
  if (!named.ok) {
    const { field, value, reason } = named.problem;
    report(['spec', field], value, reason);
  } else if (metadata.name !== named.name) {
    const reason = `does not fit the spec: the name must be "${named.name}"`;
    report(['metadata', 'name'], metadata.name, reason);
  }
  checkNats(spec, report);
}

function checkNats(spec: WorkloadEndpointSpec, report: Report): void {
  const own = new Set(spec.ipNetworks?.map((text) => parseNetwork(text)?.toString()));
  spec.ipNATs?.forEach(({ internalIP, externalIP }, i) => {
    const [internal, external] = [parseNetwork(internalIP), parseNetwork(externalIP)];
    const path = ['spec', 'ipNATs', i];
    if (internal === null) report([...path, 'internalIP'], undefined, 'is required');
    if (external === null) report([...path, 'externalIP'], undefined, 'is required');
    if (internal === null || external === null) return;
    if (internal.family !== external.family) {
      report([...path, 'externalIP'], externalIP, `is not of the family of ${internalIP}`);
    }
    if (!own.has(internal.toString())) {
      report([...path, 'internalIP'], internalIP, 'is not in ipNetworks');
    }
  });
}

export const workloadEndpoint: Definition<WorkloadEndpointSpec> = { spec, complete, check };
