/** What an agent answers on its control socket: HTTP over a unix socket in the run directory, JSON bodies. */
import type { Direction, SideVerdict } from '../model/decision.js';
import type { FilterTerm } from './flow-filter.js';
import type { FlowPacket } from './flow-packet.js';
import type { PolicyHit } from './policy-attribution.js';
import type { RuleCount } from './rule-statistics.js';

/** In MARGAY_RUN_DIR; mode 0600. */
export const CONTROL_SOCKET = 'agent.sock';
export const VERDICT_PATH = '/api/v1/verdict';
/** Query: EventQuery; answer: a FlowEvent or LostNotice per line. */
export const EVENTS_PATH = '/api/v1/events';
/** Answer: RuleUse[]. */
export const RULES_PATH = '/api/v1/policies/stats';

export interface KernelSide extends SideVerdict {
  readonly hits: readonly PolicyHit[];
  /** Of the rule that decides, since the agent started; null: never. */
  readonly count: Omit<RuleCount, 'decision'> | null;
}

/** A rule and how much it has decided on this host since its agent started. */
export interface RuleUse extends Omit<RuleCount, 'decision'> {
  readonly hit: PolicyHit;
  readonly direction: Direction;
}

/** Stands among events where some are missing: -1 if nobody knows how many. */
export interface LostNotice {
  readonly type: 'lost';
  readonly node: string;
  /** kernel: the ring was full; stream: the reader was slow. */
  readonly where: 'kernel' | 'stream';
  readonly count: number;
}

export interface EventQuery {
  /** The newest, or the oldest, so many; neither: all. */
  readonly last?: number;
  readonly first?: number;
  /** Milliseconds since the epoch. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly follow?: boolean;
  readonly filter?: readonly FilterTerm[];
}

export function eventQuery(query: EventQuery): string {
  return `${EVENTS_PATH}?${new URLSearchParams({ query: JSON.stringify(query) })}`;
}

/** @throws RangeError for what eventQuery() does not write. */
export function parseEventQuery(query: URLSearchParams): EventQuery {
  const text = query.get('query') ?? '{}';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RangeError('query is no JSON');
  }
  if (typeof value !== 'object' || value === null) throw new RangeError('query is no object');
  const fields = value as Readonly<Record<string, unknown>>;
  const isCount = (one: unknown): boolean =>
    one === undefined || (typeof one === 'number' && Number.isInteger(one) && one >= 0);
  for (const name of ['last', 'first', 'sinceMs', 'untilMs']) {
    if (!isCount(fields[name])) throw new RangeError(`${name} is no count`);
  }
  if (!['boolean', 'undefined'].includes(typeof fields['follow']))
    throw new RangeError('follow is neither true nor false');
  const filter = fields['filter'] ?? [];
  const isTerm = (one: unknown): boolean =>
    typeof one === 'object' && one !== null && 'field' in one && 'value' in one;
  if (!Array.isArray(filter) || !filter.every(isTerm)) throw new RangeError('filter is no list');
  return fields as EventQuery;
}

export interface VerdictAnswer {
  readonly host: string;
  readonly dataplane: string;
  /** Datastore revision that the kernel was last made to match. */
  readonly revision: string;
  /** null: no workload of this host at that end. */
  readonly egress: KernelSide | null;
  readonly ingress: KernelSide | null;
  readonly ready: boolean;
  /** A workload may talk to its own host once its egress policy allows. */
  readonly acceptToHost: boolean;
}

export function verdictQuery(packet: FlowPacket): string {
  const { source, destination, protocol, sourcePort, destinationPort, icmp } = packet;
  const query = new URLSearchParams({
    ...{ source, destination, protocol: String(protocol) },
    ...{ sourcePort: String(sourcePort), destinationPort: String(destinationPort) },
    ...(icmp === undefined ? {} : { icmp: `${icmp.type}:${icmp.code}` }),
  });
  return `${VERDICT_PATH}?${query}`;
}

/** @returns null for what verdictQuery() does not write. */
export function parseVerdictQuery(query: URLSearchParams): FlowPacket | null {
  const number = (name: string, max: number): number => {
    const text = query.get(name) ?? '';
    return /^\d{1,5}$/.test(text) && Number(text) <= max ? Number(text) : Number.NaN;
  };
  const [type, code] = (query.get('icmp') ?? '').split(':').map(Number);
  const packet = {
    source: query.get('source') ?? '',
    destination: query.get('destination') ?? '',
    protocol: number('protocol', 255),
    sourcePort: number('sourcePort', 65_535),
    destinationPort: number('destinationPort', 65_535),
  };
  const numbers = [packet.protocol, packet.sourcePort, packet.destinationPort];
  if (numbers.some(Number.isNaN)) return null;
  if (!query.has('icmp')) return packet;
  if (!isByte(type) || !isByte(code)) return null;
  return { ...packet, icmp: { type, code } };
}

function isByte(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= 255;
}
