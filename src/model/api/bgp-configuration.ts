/** BGPConfiguration: of the cluster ('default') or of one node (spec/resources.md 9.2). */
import * as z from 'zod';
import type { Definition, Draft, ResourceOf, SpecOf } from './definition.js';
import type { Report } from './problem.js';
import { matching, object, onOff, text, whole } from './schema.js';
import { duration } from './value-duration.js';
import { nameReference } from './value-name.js';
import { ipv4, ipv6, maskedCidr } from './value-net.js';
import { asNumber, community, isCommunity } from './value-number.js';

export const ROUTE_PRIORITY_MAX = 2_147_483_646;
export const routePriority = whole(1, ROUTE_PRIORITY_MAX);
export const clusterRoutes = z.enum([
  'Enabled',
  'Disabled',
  'EnabledIPIPOnly',
  'EnabledNoEncapOnly',
]);
/** A key of a Kubernetes Secret. */
export const secretKey = object({
  secretKeyRef: object({
    name: z.string().optional(),
    key: z.string(),
    optional: z.boolean().optional(),
  }).optional(),
});

const ranges = z.array(object({ cidr: maskedCidr }));

const ignoredInterface = text((value) => {
  if (value === '*') return 'must not match every interface';
  return /^[a-zA-Z0-9_.*-]{1,15}$/.test(value) ? undefined : 'must be an interface name or pattern';
}, 'an interface name, "*" standing for any characters');

const spec = () =>
  object({
    logSeverityScreen: matching(
      /^(trace|debug|info|warning|error|fatal)$/i,
      'one of Trace, Debug, Info, Warning, Error, Fatal',
    ).optional(),
    nodeToNodeMeshEnabled: z.boolean().optional(),
    asNumber: asNumber.optional(),
    serviceClusterIPs: ranges.optional(),
    serviceExternalIPs: ranges.optional(),
    serviceLoadBalancerIPs: ranges.optional(),
    serviceLoadBalancerAggregation: onOff.optional(),
    communities: z
      .array(object({ name: nameReference, value: community }))
      .max(500)
      .optional(),
    prefixAdvertisements: z
      .array(object({ cidr: maskedCidr, communities: z.array(z.string()).max(50).optional() }))
      .max(500)
      .optional(),
    listenPort: whole(1, 65535).optional(),
    nodeMeshPassword: secretKey.optional(),
    nodeMeshMaxRestartTime: duration.optional(),
    bindMode: z.enum(['None', 'NodeIP']).optional(),
    ignoredInterfaces: z.array(ignoredInterface).optional(),
    localWorkloadPeeringIPV4: ipv4.optional(),
    localWorkloadPeeringIPV6: ipv6.optional(),
    programClusterRoutes: clusterRoutes.optional(),
    ipv4NormalRoutePriority: routePriority.optional(),
    ipv6NormalRoutePriority: routePriority.optional(),
  });

export type BGPConfigurationSpec = SpecOf<typeof spec>;
export type BGPConfiguration = ResourceOf<'BGPConfiguration', BGPConfigurationSpec>;

/** What concerns the cluster as a whole. */
const DEFAULT_ONLY = [
  'nodeToNodeMeshEnabled',
  'asNumber',
  'serviceClusterIPs',
  'serviceExternalIPs',
  'serviceLoadBalancerIPs',
  'nodeMeshPassword',
  'nodeMeshMaxRestartTime',
] as const satisfies readonly (keyof BGPConfigurationSpec)[];

function check({ metadata, spec }: Draft<BGPConfigurationSpec>, report: Report): void {
  if (metadata.name !== 'default') {
    for (const field of DEFAULT_ONLY) {
      if (spec[field] === undefined) continue;
      report(['spec', field], spec[field], 'may only be set on the configuration "default"');
    }
  }
  for (const field of ['nodeMeshPassword', 'nodeMeshMaxRestartTime'] as const) {
    if (spec[field] !== undefined && spec.nodeToNodeMeshEnabled === false) {
      report(['spec', field], spec[field], 'needs nodeToNodeMeshEnabled, which is false');
    }
  }
  checkCommunities(spec, report);
}

function checkCommunities(spec: BGPConfigurationSpec, report: Report): void {
  if (spec.communities?.length && !spec.prefixAdvertisements?.length) {
    report(['spec', 'communities'], undefined, 'needs prefixAdvertisements');
  }
  const names = new Set(spec.communities?.map(({ name }) => name));
  spec.prefixAdvertisements?.forEach(({ communities }, i) => {
    communities?.forEach((value, j) => {
      if (names.has(value) || isCommunity(value)) return;
      const path = ['spec', 'prefixAdvertisements', i, 'communities', j];
      report(path, value, 'is neither a community value nor the name of one in communities');
    });
  });
}

export const bgpConfiguration: Definition<BGPConfigurationSpec> = { spec, check };
