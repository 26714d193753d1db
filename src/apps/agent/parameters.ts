/**
 * The parameters that this version of the agent acts on, with the types it wants. What every parameter is called and
 * which text it may have is in the model's table; own parameters need an entry here only (spec/config.md 7, 8).
 */
import { CodedError } from '../../base/error.js';
import { type FailsafePort, parseFailsafePorts } from '../../base/net/failsafe-port.js';
import { formatIp, parseIp } from '../../base/net/ip.js';
import type { LogRate } from '../../dataplane/iptables/policy-chains.js';
import {
  PARAMETER_DEFINITIONS,
  type ParameterDefinition,
  parameterNamed,
} from '../../model/configuration/parameter-table.js';
import {
  type Configuration,
  type EffectiveValue,
  resolve,
  type Source,
} from '../../model/configuration/resolve.js';
import type { PortRange } from '../../model/desired.js';

interface Parameter<T> {
  readonly parse: (text: string) => T;
  readonly defaultValue: T;
  /** Of the default as the reference page shows it. */
  readonly unit?: string;
  /** One sentence for the reference page. */
  readonly text: string;
}

const parameter = <T>(parse: (text: string) => T, defaultValue: T, text: string): Parameter<T> => ({
  parse,
  defaultValue,
  text,
});

/** What a parser throws: the part of the message that says what was wanted. */
class Wanted extends Error {}

function oneOf<const T extends string>(...values: readonly T[]): (text: string) => T {
  return (text) => {
    const found = values.find((value) => value.toLowerCase() === text.toLowerCase());
    if (found === undefined) throw new Wanted(`one of ${values.join(', ')}`);
    return found;
  };
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new Wanted(`a whole number from ${min} to ${max}`);
    return value;
  };
}

function bool(text: string): boolean {
  if (/^(true|yes|y|t|1|on|enabled)$/i.test(text)) return true;
  if (/^(false|no|n|f|0|off|disabled)$/i.test(text)) return false;
  throw new Wanted('true or false');
}

/** Seconds with an optional fraction, or a Go duration; in milliseconds. */
function durationMs(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new Wanted('seconds, or a duration such as 1m30s');
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (units[part[2] ?? ''] ?? 0), 0);
}

const nameList = (text: string): readonly string[] =>
  text === 'none'
    ? []
    : text
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '');
function failsafePorts(text: string): readonly FailsafePort[] {
  const ports = parseFailsafePorts(text);
  if (ports === null) throw new Wanted('none, or a list such as tcp:22,udp:10.0.0.0/8:53');
  return ports;
}
const anyText = (text: string): string => text;

function markMask(text: string): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value > 0 && value <= 0xffff_ffff)) throw new Wanted('a mask such as 0xffff0000');
  return value;
}

/** It goes into a rule between quotes, and iptables keeps 29 bytes of it with ': '. */
function logPrefix(text: string): string {
  if (!/^[\x20-\x7e]{1,27}$/.test(text) || /["\\]/.test(text)) {
    throw new Wanted('1 to 27 printable characters without quotes');
  }
  return text;
}

/** '10/minute'; null: no limit. */
function logRate(text: string): Pick<LogRate, 'lines' | 'unit'> | null {
  if (text === 'none') return null;
  const [, lines, unit] = /^([1-9]\d{0,3})\/(second|minute|hour|day)$/.exec(text) ?? [];
  if (unit === undefined) throw new Wanted('1 to 9999 per unit, such as 10/minute');
  return { lines: Number(lines), unit: unit as LogRate['unit'] };
}

function ipv4Address(text: string): string | null {
  if (text === 'none') return null;
  const ip = parseIp(text);
  if (ip?.family !== 4) throw new Wanted('an IPv4 address');
  return formatIp(ip);
}

function portRange(text: string): PortRange | null {
  if (text === 'none') return null;
  const [, from, to = from] = /^(\d+)(?::(\d+))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (!(first >= 1 && first <= last && last <= 65_535))
    throw new Wanted('ports such as 32768:65535');
  return { first, last };
}

/** It goes into a rule as it is. */
function interfaceName(text: string): string | null {
  if (text === 'none') return null;
  if (!/^[\w.:@-]{1,15}\+?$/.test(text))
    throw new Wanted("an interface's name, + at its end for any rest");
  return text;
}

const duration = (defaultMs: number, text: string): Parameter<number> => ({
  parse: durationMs,
  defaultValue: defaultMs,
  unit: 'ms',
  text,
});

/** Sorted by name: the reference page and `--print-config` keep this order. */
export const PARAMETERS = {
  BPFAttachType: parameter(
    oneOf('Netkit', 'TCX', 'TC'),
    'Netkit',
    'How programs get onto interfaces: TC as filters, the others as tcx links where the kernel has them.',
  ),
  BPFConntrackTimeoutTcpEstablished: duration(
    3_600_000,
    'An idle established TCP connection is forgotten after this.',
  ),
  BPFConntrackTimeoutUdp: duration(60_000, 'An idle UDP flow is forgotten after this.'),
  BPFMapSizeConntrack: parameter(
    integer(1024, 16_777_216),
    512_000,
    'Connections that can be tracked at once on this host.',
  ),
  ChainInsertMode: parameter(
    oneOf('insert', 'append'),
    'insert',
    "Whether the iptables dataplane's jumps stand before or after the rules of others.",
  ),
  ConntrackQuotaPercent: parameter(
    integer(1, 100),
    25,
    'eBPF: share of the table of connections that those opened by one workload can take, and as much for those opened to it.',
  ),
  Dataplane: parameter(oneOf('auto', 'ebpf', 'iptables'), 'auto', 'Which dataplane enforces.'),
  DefaultEndpointToHostAction: parameter(
    oneOf('Drop', 'Accept', 'Return'),
    'Drop',
    'What happens to packets from a workload to its own host that its egress policy allowed.',
  ),
  DeniedFile: parameter(
    anyText,
    '',
    'Append every denied packet that is told of to this file, as JSON lines.',
  ),
  FailsafeInboundHostPorts: parameter(
    failsafePorts,
    failsafePorts('tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667'),
    'Ports on host endpoints that can be reached whatever policy says.',
  ),
  FailsafeOutboundHostPorts: parameter(
    failsafePorts,
    failsafePorts('udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667'),
    'Ports that host endpoints can reach whatever policy says.',
  ),
  DisableConntrackInvalidCheck: parameter(
    bool,
    false,
    'iptables: let policy decide about packets that belong to no connection.',
  ),
  FelixHostname: parameter(
    anyText,
    '',
    "This host's name; default NODENAME, then the lower-cased host name.",
  ),
  FlowAccounting: parameter(bool, true, 'Connections count their packets and bytes.'),
  FlowLogsFile: parameter(
    anyText,
    '',
    'Append what connections did, by workload and port, to this file as JSON lines.',
  ),
  FlowLogsFlushInterval: duration(
    300_000,
    'Interval of the flow log file, and how often live connections are told of.',
  ),
  FlowRingSize: parameter(
    integer(16, 1_048_576),
    65_536,
    'Newest flow events that this agent keeps for "margay flows".',
  ),
  HealthEnabled: parameter(bool, true, 'Serve /liveness and /readiness.'),
  HealthHost: parameter(anyText, 'localhost', 'Address the health server listens on.'),
  HealthPort: parameter(integer(0, 65_535), 9099, 'Its port.'),
  InterfaceExclude: parameter(nameList, ['kube-ipvs0'], 'Host interfaces that are left alone.'),
  InterfacePrefix: parameter(
    nameList,
    ['cali'],
    'Interfaces whose names start with one of these are workloads.',
  ),
  IpsetsRefreshInterval: duration(
    90_000,
    'iptables: how often all IP sets are read back; 0: never.',
  ),
  IptablesBackend: parameter(
    oneOf('Auto', 'Legacy', 'NFT'),
    'Auto',
    'Which iptables programs to use; Auto: those whose tables others use.',
  ),
  IptablesFilterAllowAction: parameter(
    oneOf('ACCEPT', 'RETURN'),
    'ACCEPT',
    "iptables: allowed packets are accepted, or left to the host's own rules.",
  ),
  IptablesFilterDenyAction: parameter(
    oneOf('DROP', 'REJECT'),
    'DROP',
    'iptables: denied packets are dropped in silence, or with an answer.',
  ),
  IptablesLockTimeout: duration(
    0,
    'iptables: how long to wait for the lock of the legacy tables; 0: 10 seconds.',
  ),
  IptablesMangleAllowAction: parameter(
    oneOf('ACCEPT', 'RETURN'),
    'ACCEPT',
    'iptables: the same for what is decided before destinations are translated.',
  ),
  IptablesMarkMask: parameter(
    markMask,
    0xffff_0000,
    'iptables: the bits of the packet mark that may be used, at least two.',
  ),
  IptablesNATOutgoingInterfaceFilter: parameter(
    interfaceName,
    null,
    'iptables: outgoing traffic of pools is translated only on these interfaces.',
  ),
  IptablesPostWriteCheckInterval: duration(
    5_000,
    'iptables: rules are read back once more so long after a change; 0: not.',
  ),
  IptablesRefreshInterval: duration(
    180_000,
    'iptables: how often all rules are read back; 0: never.',
  ),
  Ipv6Support: parameter(
    bool,
    true,
    'IPv6 of workloads. Off, or without it in the kernel: dropped.',
  ),
  LogActionRateLimit: parameter(
    logRate,
    null,
    'iptables: how many lines a Log rule writes, such as 10/minute.',
  ),
  LogActionRateLimitBurst: parameter(
    integer(0, 9999),
    5,
    'iptables: how many lines it may write at once before that.',
  ),
  LogDrops: parameter(bool, false, "Write dropped packets to the agent's log."),
  LogSeverityScreen: parameter(
    oneOf('Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal', 'none'),
    'Info',
    'Least severity that is logged.',
  ),
  LogPrefix: parameter(
    logPrefix,
    'calico-packet',
    'iptables: what lines of Log rules begin with; %t tier, %k kind, %n name, %p with namespace.',
  ),
  MaxIpsetSize: parameter(
    integer(1, 0xffff_ffff),
    1_048_576,
    'iptables: how many members an IP set can have.',
  ),
  NATOutgoingAddress: parameter(
    ipv4Address,
    null,
    'iptables: outgoing traffic of pools gets this address, not that of the interface.',
  ),
  NATOutgoingExclusions: parameter(
    oneOf('IPPoolsOnly', 'IPPoolsAndHostIPs'),
    'IPPoolsOnly',
    'iptables: destinations to which outgoing traffic of pools keeps its address.',
  ),
  NATPortRange: parameter(
    portRange,
    null,
    'iptables: source ports of outgoing traffic of pools, TCP and UDP.',
  ),
  PolicyMetrics: parameter(
    bool,
    false,
    'Metrics by policy: at most 1000 series, the rest is summed up.',
  ),
  PrometheusMetricsEnabled: parameter(bool, true, 'Serve /metrics.'),
  PrometheusMetricsHost: parameter(anyText, 'localhost', 'Address the metrics server listens on.'),
  PrometheusMetricsPort: parameter(integer(0, 65_535), 9091, 'Its port.'),
  RouteRefreshInterval: duration(90_000, 'How often routes are read back; 0: never.'),
  ReportingInterval: duration(
    10_000,
    'How often the status of this host is renewed when nothing changes.',
  ),
  ReportingTTL: duration(30_000, 'How long this host counts as live after its last status.'),
} as const;

type Table = typeof PARAMETERS;
export type ParameterValues = {
  readonly [Name in keyof Table]: Table[Name] extends Parameter<infer T> ? T : never;
};

const shownDefault = (value: unknown): string =>
  Array.isArray(value) ? value.join(',') : String(value);

/** The row of the specification's table that a parameter here is, or a row of our own. */
function definitionOf(key: string, entry: Parameter<unknown>): ParameterDefinition {
  const known = [key, `Margay${key}`, `${key}Secs`].map(parameterNamed).find(Boolean);
  if (known !== undefined) return known;
  return {
    name: `Margay${key}`,
    group: 'Margay',
    field: undefined,
    defaultText: shownDefault(
      entry.unit === 'ms' ? Number(entry.defaultValue) / 1000 : entry.defaultValue,
    ),
    type: 'string',
    isFatal: false,
    isNonZero: false,
    isLocal: false,
    use: 1,
    isLive: false,
    text: entry.text,
  };
}

const DEFINITION_OF: ReadonlyMap<string, ParameterDefinition> = new Map(
  Object.entries(PARAMETERS).map(([key, entry]) => [key, definitionOf(key, entry)]),
);

/** Everything that can be set: what nothing acts on yet, too. */
export const AGENT_DEFINITIONS: readonly ParameterDefinition[] = [
  ...new Set([...PARAMETER_DEFINITIONS, ...DEFINITION_OF.values()]),
];

const byName = new Map(
  AGENT_DEFINITIONS.map((definition) => [definition.name.toLowerCase(), definition]),
);

/** By any spelling, with or without the Margay in front of our own. */
export function agentParameter(name: string): ParameterDefinition | undefined {
  const key = name.toLowerCase();
  return byName.get(key) ?? parameterNamed(key) ?? byName.get(`margay${key}`);
}

/** Names of parameters that this version acts on. */
export const ACTED_ON: ReadonlySet<string> = new Set(
  [...DEFINITION_OF.values()].map(({ name }) => name),
);

export interface TypedParameters {
  readonly values: ParameterValues;
  /** One line each: texts that this version cannot use; the default stands in. */
  readonly warnings: readonly string[];
}

/** The values that the agent acts on, typed. */
export function typedParameters(configuration: Configuration): TypedParameters {
  const warnings: string[] = [];
  const values = Object.entries(PARAMETERS).map(([key, entry]): [string, unknown] => {
    const given = configuration.values.get(DEFINITION_OF.get(key)?.name ?? '');
    return [key, given === undefined ? entry.defaultValue : typedValue(entry, given, warnings)];
  });
  return { values: Object.fromEntries(values) as unknown as ParameterValues, warnings };
}

function typedValue(entry: Parameter<unknown>, given: EffectiveValue, warnings: string[]): unknown {
  if (given.source === 'default') return entry.defaultValue;
  // An empty text is the zero value of a list or a name: "none".
  const text = given.text === '' && typeof entry.defaultValue !== 'string' ? 'none' : given.text;
  try {
    return entry.parse(text);
  } catch (error) {
    if (!(error instanceof Wanted)) throw error;
    warnings.push(
      `failed to parse config parameter ${given.definition.name}; value "${given.text}": is not ${error.message} (from ${given.source}); the default is used`,
    );
    return entry.defaultValue;
  }
}

export interface ParsedParameters extends TypedParameters {
  readonly configuration: Configuration;
}

/** From sources, highest first, to values. @throws CodedError ERR_CONFIG_VALUE with a line for each failure */
export function parseSources(sources: readonly Source[]): ParsedParameters {
  const configuration = resolve({
    definitions: AGENT_DEFINITIONS,
    lookUp: agentParameter,
    sources,
  });
  if (configuration.failures.length > 0)
    throw new CodedError('ERR_CONFIG_VALUE', configuration.failures.join('\n'));
  const { values, warnings } = typedParameters(configuration);
  return { values, warnings: [...configuration.warnings, ...warnings], configuration };
}
