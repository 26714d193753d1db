/** Kubernetes manifests as a world: the reference reads them here, calculation through the product's conversion. */
import { convertNetworkPolicy } from '../../src/model/kubernetes/network-policy.js';
import { convertPod } from '../../src/model/kubernetes/pod.js';
import { convertNamespace } from '../../src/model/kubernetes/profiles.js';
import type { Resource, ResourceUpdate } from '../../src/model/update.js';
import type { KubernetesSpec, World, WorldPolicy, WorldWorkload } from './policy-world.js';
import { interfaceOf } from './world-resources.js';

export interface KubernetesObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly podIP?: string };
}

const CONVERSIONS = {
  Namespace: convertNamespace,
  Pod: convertPod,
  NetworkPolicy: convertNetworkPolicy,
} as const;

/** As the product's conversion reads it, but with the interface name that worlds give to pods. */
export function convertedUpdate(object: KubernetesObject): ResourceUpdate {
  const convert = CONVERSIONS[object.kind as keyof typeof CONVERSIONS];
  const { resource, warnings } = convert(object);
  if (resource === null || warnings.length > 0) {
    throw new Error(`${object.kind} ${object.metadata.name}: ${warnings.join('; ')}`);
  }
  const { namespace, name } = resource.metadata;
  const key = { kind: resource.kind, name, ...(namespace === undefined ? {} : { namespace }) };
  return { key, value: withWorldInterface(resource, object.metadata.name), revision: '1' };
}

function withWorldInterface(resource: Resource, pod: string): Resource {
  if (resource.kind !== 'WorkloadEndpoint') return resource;
  return { ...resource, spec: { ...(resource.spec as object), interfaceName: interfaceOf(pod) } };
}

/** As the notation of the truth cases has it: no step of the product's conversion is used. */
export function worldParts(objects: readonly KubernetesObject[]): Partial<World> {
  const of = (kind: string) => objects.filter((object) => object.kind === kind);
  const pods = of('Pod').map(({ metadata, spec, status }): [string, WorldWorkload] => [
    metadata.name,
    {
      ns: metadata.namespace ?? 'default',
      node: spec?.nodeName ?? '',
      ips: [status?.podIP ?? ''],
      labels: metadata.labels ?? {},
    },
  ]);
  const policies = of('NetworkPolicy').map(
    ({ metadata, spec }): WorldPolicy => ({
      kind: 'KNP',
      ns: metadata.namespace ?? 'default',
      name: metadata.name,
      spec: spec as KubernetesSpec,
    }),
  );
  return {
    namespaces: Object.fromEntries(
      of('Namespace').map(({ metadata }) => [metadata.name, metadata.labels ?? {}]),
    ),
    weps: Object.fromEntries(pods),
    policies,
  };
}
