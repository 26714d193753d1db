/** The work of `margay flows`: asks this host's agent, prints a line per event until there are no more. */
import { CodedError } from '../../../base/error.js';
import { type EventQuery, eventQuery, type LostNotice } from '../../../observe/agent-protocol.js';
import type { FlowEvent } from '../../../observe/flow-event.js';
import { compileFilter, type FilterTerm } from '../../../observe/flow-filter.js';
import { formatHit } from '../../../observe/policy-attribution.js';
import { flowLine } from '../../../observe/flow-text.js';
import { agentLines, runDirectory } from '../agent-socket.js';
import { Exit, type Session } from '../session.js';

export interface FlowsFlags {
  readonly last?: string;
  readonly first?: string;
  readonly all?: boolean;
  readonly follow?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly output: string;
  readonly numeric?: boolean;
  readonly printNodeName?: boolean;
  readonly failOn?: string;
}

const LAST_DEFAULT = 20;
const EXIT_DENIED = 3;
const usage = (message: string): CodedError => new CodedError('ERR_USAGE', `flows: ${message}`);

type Format = (event: FlowEvent) => string;

export async function flows(
  session: Session,
  flags: FlowsFlags,
  filter: readonly FilterTerm[],
): Promise<void> {
  const format = formatOf(flags);
  const query = queryOf(flags, checked(filter), Date.now());
  let denied = false;
  const path = eventQuery(query);
  try {
    for await (const text of agentLines(runDirectory(process.env), path, session)) {
      const line = JSON.parse(text) as FlowEvent | LostNotice;
      if (line.type === 'lost') {
        session.err(`EVENTS LOST: ${line.count} (${line.node}, ${line.where})`);
        continue;
      }
      denied ||= line.verdict === 'Deny';
      session.out(format(line));
    }
  } catch (error) {
    // Ctrl-C is how following ends.
    if (!(flags.follow === true && session.signal.aborted)) throw error;
  }
  if (denied && flags.failOn === 'deny') throw new Exit(EXIT_DENIED);
}

function checked(filter: readonly FilterTerm[]): readonly FilterTerm[] {
  try {
    compileFilter(filter);
  } catch (error) {
    if (error instanceof RangeError) throw usage(error.message);
    throw error;
  }
  return filter;
}

function formatOf({ output, numeric = false, printNodeName = false, failOn }: FlowsFlags): Format {
  if (failOn !== undefined && failOn !== 'deny') throw usage(`--fail-on: ${failOn} is not deny`);
  switch (output) {
    case 'compact':
      return (event) => `${flowLine(event, { numeric, nodeName: printNodeName })}\n`;
    case 'json':
    case 'ndjson':
      return (event) => `${JSON.stringify(event)}\n`;
    case 'dict':
      return dictText;
    default:
      throw new CodedError(
        'ERR_OUTPUT_FORMAT',
        `unrecognized output format '${output}', expected compact, json or dict`,
      );
  }
}

function dictText(event: FlowEvent): string {
  const end = ({ ip, port, endpoint }: FlowEvent['src']): string =>
    `${endpoint.namespace}/${endpoint.name} ${ip} ${port}`;
  const fields: readonly (readonly [string, string])[] = [
    ['TIMESTAMP', event.time],
    ['NODE', event.node],
    ['SOURCE', end(event.src)],
    ['DESTINATION', end(event.dst)],
    ['PROTOCOL', event.proto],
    ['TYPE', event.type],
    ['VERDICT', event.verdict],
    ['REASON', event.reason],
    ['POLICY', event.policies.enforced.map(formatHit).join(' ')],
  ];
  return `${fields.map(([name, value]) => `${name}: ${value}\n`).join('')}------------\n`;
}

function queryOf(flags: FlowsFlags, filter: readonly FilterTerm[], nowMs: number): EventQuery {
  const counts = [flags.last, flags.first, flags.all].filter((one) => one !== undefined);
  if (counts.length > 1) throw usage('give one of --last, --first and --all');
  const last = flags.last ?? (flags.follow === true ? '0' : String(LAST_DEFAULT));
  const which =
    flags.first !== undefined
      ? { first: countOf('--first', flags.first) }
      : flags.all === true || (flags.last === undefined && flags.since !== undefined)
        ? {}
        : { last: countOf('--last', last) };
  return {
    ...which,
    ...(flags.since === undefined ? {} : { sinceMs: timeOf('--since', flags.since, nowMs) }),
    ...(flags.until === undefined ? {} : { untilMs: timeOf('--until', flags.until, nowMs) }),
    ...(flags.follow === true ? { follow: true } : {}),
    ...(filter.length === 0 ? {} : { filter }),
  };
}

function countOf(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw usage(`${option}: ${text} is no number of events`);
  return Number(text);
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds since the epoch. */
export function timeOf(option: string, text: string, nowMs: number): number {
  const ago = /^(\d+)(ms|s|m|h|d)$/.exec(text);
  if (ago) return nowMs - Number(ago[1]) * (UNITS[ago[2] ?? ''] ?? 0);
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw usage(`${option}: ${text} is neither a time nor a duration such as 5m`);
  return at;
}
