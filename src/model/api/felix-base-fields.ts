/** The fields of FelixConfiguration that Calico v3.2 has (spec/resources.md 9.4.1). */
import * as z from 'zod';
import { matching, object, type Source, text, whole } from './schema.js';
import { duration } from './value-duration.js';
import { cidr, cidrv4, hostOrIp, maskedCidr } from './value-net.js';
import { portRange } from './value-number.js';

const flag = z.boolean().optional();
const interval = duration.optional();
const words = z.string().optional();
export const portNumber = whole(0, 65535).optional();
export const severity = z.enum(['Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal']).optional();
export const allowAction = z.enum(['Accept', 'Return']).optional();

const MARK_BITS_MIN = 8;
const NODE_PORT_RANGES_MAX = 7;

const bitCount = (value: number): number => value.toString(2).replaceAll('0', '').length;

/** Enough bits for the marks the agent needs. */
export const markMask = whole(0, 0xffff_ffff).check((context) => {
  if (bitCount(context.value) >= MARK_BITS_MIN) return;
  const message = `must have at least ${MARK_BITS_MIN} bits set`;
  context.issues.push({ code: 'custom', input: context.value, message, continue: true });
});

/** A port that stays open whatever policies say. */
const protoPort = object({
  protocol: z.enum(['TCP', 'UDP', 'SCTP']),
  port: whole(0, 65535),
  net: maskedCidr.optional(),
});

const interfacePrefixes = matching(
  /^[a-zA-Z0-9_.-]{1,15}(,[a-zA-Z0-9_.-]{1,15})*$/,
  'a comma-separated list of interface name prefixes',
);

const interfaceExclude = text((value) => {
  const wrong = value
    .split(',')
    .find((part) => !/^(\/.+\/|[a-zA-Z0-9_.-]{1,15})$/.test(part.trim()));
  return wrong === undefined
    ? undefined
    : `has an entry that is neither an interface name nor /regex/: "${wrong}"`;
}, 'a comma-separated list of interface names and /regular expressions/');

export const felixBaseFields = (source: Source) => ({
  chainInsertMode: z.enum(['Insert', 'Append']).optional(),
  dataplaneDriver: words,
  debugDisableLogDropping: flag,
  debugMemoryProfilePath: words,
  debugSimulateCalcGraphHangAfter: interval,
  debugSimulateDataplaneHangAfter: interval,
  defaultEndpointToHostAction: z.enum(['Drop', 'Accept', 'Return']).optional(),
  disableConntrackInvalidCheck: flag,
  endpointReportingDelay: interval,
  endpointReportingEnabled: flag,
  externalNodesList: z.array(source === 'user' ? cidrv4 : cidr).optional(),
  failsafeInboundHostPorts: z.array(protoPort).optional(),
  failsafeOutboundHostPorts: z.array(protoPort).optional(),
  healthEnabled: flag,
  healthHost: hostOrIp.optional(),
  healthPort: portNumber,
  ignoreLooseRPF: flag,
  interfaceExclude: interfaceExclude.optional(),
  interfacePrefix: interfacePrefixes.optional(),
  ipipEnabled: flag,
  ipipMTU: whole(0, 65535).optional(),
  ipsetsRefreshInterval: interval,
  iptablesFilterAllowAction: allowAction,
  iptablesMangleAllowAction: allowAction,
  iptablesLockFilePath: words,
  iptablesLockProbeInterval: interval,
  iptablesLockTimeout: interval,
  iptablesMarkMask: markMask.optional(),
  iptablesPostWriteCheckInterval: interval,
  iptablesRefreshInterval: interval,
  ipv6Support: flag,
  kubeNodePortRanges: z.array(portRange).max(NODE_PORT_RANGES_MAX).optional(),
  logFilePath: words,
  logPrefix: words,
  logSeverityFile: severity,
  logSeverityScreen: severity,
  logSeveritySys: severity,
  maxIpsetSize: whole(0).optional(),
  metadataAddr: hostOrIp.optional(),
  metadataPort: portNumber,
  natPortRange: portRange.optional(),
  netlinkTimeout: interval,
  policySyncPathPrefix: words,
  prometheusGoMetricsEnabled: flag,
  prometheusProcessMetricsEnabled: flag,
  prometheusMetricsEnabled: flag,
  prometheusMetricsPort: portNumber,
  reportingInterval: interval,
  reportingTTL: interval,
  routeRefreshInterval: interval,
  usageReportingEnabled: flag,
  usageReportingInitialDelay: interval,
  usageReportingInterval: interval,
  useInternalDataplaneDriver: flag,
});
