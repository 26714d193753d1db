/**
 * The agent's parameters: one table, one order of sources (default < environment FELIX_* < MARGAY_*), parsed once
 * into values (spec/config.md 3.1, 4, 7). Parameters that nothing acts on yet are not in the table.
 */
import { CodedError } from '../../base/error.js';
import { type FailsafePort, parseFailsafePorts } from '../../base/net/failsafe-port.js';

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

const duration = (defaultMs: number, text: string): Parameter<number> => ({
  parse: durationMs,
  defaultValue: defaultMs,
  unit: 'ms',
  text,
});

/** Sorted by name: the reference page and `--print-config` keep this order. */
export const PARAMETERS = {
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
  LogDrops: parameter(bool, false, "Write dropped packets to the agent's log."),
  LogSeverityScreen: parameter(
    oneOf('Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal', 'none'),
    'Info',
    'Least severity that is logged.',
  ),
  PolicyMetrics: parameter(
    bool,
    false,
    'Metrics by policy: at most 1000 series, the rest is summed up.',
  ),
  PrometheusMetricsEnabled: parameter(bool, true, 'Serve /metrics.'),
  PrometheusMetricsHost: parameter(anyText, 'localhost', 'Address the metrics server listens on.'),
  PrometheusMetricsPort: parameter(integer(0, 65_535), 9091, 'Its port.'),
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

export interface ParsedParameters {
  readonly values: ParameterValues;
  /** One line each: names that are not parameters. */
  readonly warnings: readonly string[];
}

/** Names that other parts of Margay or of Calico's start-up read. */
const NOT_PARAMETERS = new Set(['DATASTORE_PATH', 'RUN_DIR', 'BPF_DIR']);

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads FELIX_* and MARGAY_*: prefix and name in any case, MARGAY_ wins, empty means unset.
 *
 * @throws CodedError ERR_CONFIG_VALUE naming the variable, what it holds and what was wanted.
 */
export function parseParameters(environment: Environment): ParsedParameters {
  const canonical = new Map(Object.keys(PARAMETERS).map((name) => [name.toLowerCase(), name]));
  const texts = new Map<string, { readonly variable: string; readonly text: string }>();
  const warnings: string[] = [];
  for (const prefix of ['felix_', 'margay_']) {
    for (const [variable, text] of Object.entries(environment)) {
      if (!variable.toLowerCase().startsWith(prefix) || !text) continue;
      const rest = variable.slice(prefix.length);
      const name = canonical.get(rest.toLowerCase());
      if (name !== undefined) texts.set(name, { variable, text });
      else if (!NOT_PARAMETERS.has(rest))
        warnings.push(`${variable}: not a parameter of this version, ignored`);
    }
  }
  const values = Object.fromEntries(
    Object.entries(PARAMETERS).map(([name, entry]) => [name, parsedValue(entry, texts.get(name))]),
  );
  return { values: values as unknown as ParameterValues, warnings };
}

function parsedValue(
  entry: Parameter<unknown>,
  given: { readonly variable: string; readonly text: string } | undefined,
): unknown {
  if (given === undefined) return entry.defaultValue;
  try {
    return entry.parse(given.text);
  } catch (error) {
    if (!(error instanceof Wanted)) throw error;
    throw new CodedError(
      'ERR_CONFIG_VALUE',
      `${given.variable}: "${given.text}" is not ${error.message}`,
    );
  }
}
