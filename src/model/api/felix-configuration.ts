/**
 * FelixConfiguration: the agents' parameters, of the cluster, of selected nodes or of one (spec/resources.md
 * 9.4). All optional: unset is no opinion, so nothing is filled in but on 'default'.
 */
import * as z from 'zod';
import { clusterRoutes, routePriority } from './bgp-configuration.js';
import type { Definition, Draft, ResourceOf, SpecOf } from './definition.js';
import { allowAction, felixBaseFields, markMask, portNumber } from './felix-base-fields.js';
import { felixBpfFields } from './felix-bpf-fields.js';
import type { Report } from './problem.js';
import { matching, object, onOff, type Source, whole } from './schema.js';
import { duration } from './value-duration.js';
import { interfaceName, regularExpression } from './value-name.js';
import { hostOrIp, ip, ipv4, ipv6 } from './value-net.js';
import { dscp, rate } from './value-number.js';
import { selector } from './value-selector.js';

const flag = z.boolean().optional();
const interval = duration.optional();
const words = z.string().optional();
const mtu = whole(0, 65535).optional();
const denyAction = z.enum(['Drop', 'Reject']).optional();
const tableRange = object({ min: whole(0), max: whole(0) });

/** Tunnels. */
const encapsulationFields = {
  vxlanEnabled: flag,
  vxlanMTU: mtu,
  vxlanMTUV6: mtu,
  vxlanPort: portNumber,
  vxlanVNI: whole(0, 0xff_ffff).optional(),
  allowVXLANPacketsFromWorkloads: flag,
  allowIPIPPacketsFromWorkloads: flag,
  mtuIfacePattern: regularExpression.optional(),
  requireMTUFile: flag,
  wireguardEnabled: flag,
  wireguardEnabledV6: flag,
  wireguardListeningPort: portNumber,
  wireguardListeningPortV6: portNumber,
  wireguardRoutingRulePriority: whole(0).optional(),
  wireguardInterfaceName: interfaceName.optional(),
  wireguardInterfaceNameV6: interfaceName.optional(),
  wireguardMTU: mtu,
  wireguardMTUV6: mtu,
  wireguardHostEncryptionEnabled: flag,
  wireguardKeepAlive: interval,
  wireguardThreadingEnabled: flag,
};

/** iptables, nftables, XDP. */
const filterFields = {
  iptablesBackend: z.enum(['Auto', 'Legacy', 'NFT']).optional(),
  iptablesFilterDenyAction: denyAction,
  iptablesNATOutgoingInterfaceFilter: words,
  nftablesMode: z.enum(['Auto', 'Enabled', 'Disabled']).optional(),
  nftablesRefreshInterval: interval,
  nftablesFilterAllowAction: allowAction,
  nftablesMangleAllowAction: allowAction,
  nftablesFilterDenyAction: denyAction,
  nftablesMarkMask: markMask.optional(),
  nftablesFlowTableOffload: z.enum(['All', 'Disabled']).optional(),
  nftablesFlowTableDataIfacePattern: regularExpression.optional(),
  featureDetectOverride: words,
  featureGates: words,
  xdpEnabled: flag,
  xdpRefreshInterval: interval,
  genericXDPEnabled: flag,
  sidecarAccelerationEnabled: flag,
};

/** Routes, NAT, services. */
const routeFields = {
  routeSource: z.enum(['CalicoIPAM', 'WorkloadIPs']).optional(),
  routeTableRanges: z.array(tableRange).optional(),
  routeTableRange: tableRange.optional(),
  routeSyncDisabled: flag,
  deviceRouteSourceAddress: ipv4.optional(),
  deviceRouteSourceAddressIPv6: ipv6.optional(),
  deviceRouteProtocol: whole(0, 255).optional(),
  removeExternalRoutes: flag,
  programClusterRoutes: clusterRoutes.optional(),
  ipForwarding: onOff.optional(),
  ipv4NormalRoutePriority: routePriority.optional(),
  ipv4ElevatedRoutePriority: routePriority.optional(),
  ipv6NormalRoutePriority: routePriority.optional(),
  ipv6ElevatedRoutePriority: routePriority.optional(),
  liveMigrationRouteConvergenceTime: interval,
  localSubnetL2Reachability: z.enum(['Disabled', 'PodsAndLoadBalancers']).optional(),
  localSubnetL2ReachabilityRefreshInterval: interval,
  natOutgoingAddress: ip.optional(),
  natOutgoingExclusions: z.enum(['IPPoolsOnly', 'IPPoolsAndHostIPs']).optional(),
  floatingIPs: onOff.optional(),
  serviceLoopPrevention: z.enum(['Drop', 'Reject', 'Disabled']).optional(),
  workloadSourceSpoofing: z.enum(['Disabled', 'Any']).optional(),
};

/** Logs, health, metrics, flows. */
const observeFields = {
  logDebugFilenameRegex: regularExpression.optional(),
  logActionRateLimit: rate.optional(),
  logActionRateLimitBurst: whole(0, 9999).optional(),
  healthTimeoutOverrides: z.array(object({ name: z.string(), timeout: duration })).optional(),
  prometheusMetricsHost: hostOrIp.optional(),
  prometheusMetricsCAFile: words,
  prometheusMetricsCertFile: words,
  prometheusMetricsKeyFile: words,
  prometheusMetricsClientAuth: z
    .enum([
      'NoClientCert',
      'RequireAndVerifyClientCert',
      'RequireAnyClientCert',
      'VerifyClientCertIfGiven',
    ])
    .optional(),
  prometheusWireGuardMetricsEnabled: flag,
  dataplaneWatchdogTimeout: interval,
  interfaceRefreshInterval: interval,
  endpointStatusPathPrefix: words,
  flowLogsFlushInterval: interval,
  flowLogsCollectorDebugTrace: flag,
  flowLogsGoldmaneServer: words,
  flowLogsLocalReporter: onOff.optional(),
  flowLogsPolicyEvaluationMode: z.enum(['None', 'Continuous']).optional(),
};

const otherFields = {
  nodeSelector: selector.optional(),
  awsSrcDstCheck: z.enum(['DoNothing', 'Enable', 'Disable']).optional(),
  openstackRegion: matching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'a DNS label').optional(),
  windowsManageFirewallRules: onOff.optional(),
  istioAmbientMode: onOff.optional(),
  istioDSCPMark: dscp.optional(),
  debugHost: hostOrIp.optional(),
  debugPort: portNumber,
  debugSimulateDataplaneApplyDelay: interval,
  goGCThreshold: whole(-1).optional(),
  goMaxProcs: whole(-1).optional(),
  goMemoryLimitMB: whole(-1).optional(),
};

const spec = (source: Source) =>
  object({
    ...felixBaseFields(source),
    ...felixBpfFields,
    ...encapsulationFields,
    ...filterFields,
    ...routeFields,
    ...observeFields,
    ...otherFields,
  });

export type FelixConfigurationSpec = SpecOf<typeof spec>;
export type FelixConfiguration = ResourceOf<'FelixConfiguration', FelixConfigurationSpec>;

type D = Draft<FelixConfigurationSpec>;

/** What current clients write; only on 'default', because on a node it would override that. */
function complete({ metadata, spec }: D): D {
  if (metadata.name !== 'default') return { metadata, spec };
  const old = spec.bpfConnectTimeLoadBalancingEnabled;
  return {
    metadata,
    spec: {
      floatingIPs: 'Disabled',
      nftablesMode: 'Auto',
      nftablesFlowTableOffload: 'Disabled',
      bpfConnectTimeLoadBalancing: 'TCP',
      bpfHostNetworkedNATWithoutCTLB: 'Enabled',
      ...spec,
      ...(old === undefined
        ? {}
        : {
            bpfHostNetworkedNATWithoutCTLB: 'Disabled',
            bpfConnectTimeLoadBalancing: old ? 'Enabled' : 'Disabled',
          }),
    },
  };
}

function check({ metadata, spec }: D, report: Report): void {
  const fixed = metadata.name === 'default' || metadata.name.startsWith('node.');
  if (spec.nodeSelector !== undefined && fixed) {
    const reason = 'is only for configurations not called "default" or "node.…"';
    report(['spec', 'nodeSelector'], spec.nodeSelector, reason);
  }
}

export const felixConfiguration: Definition<FelixConfigurationSpec> = {
  spec,
  complete: (draft, { mode }) => (mode === 'stored' ? draft : complete(draft)),
  check,
  keepEmptyLists: true,
};
