/** An event in a line (spec/flows.md 12.3). */
import type { FlowEnd, FlowEvent } from './flow-event.js';
import { formatHit } from './policy-attribution.js';

export interface FlowTextOptions {
  /** Addresses in place of names. */
  readonly numeric: boolean;
  readonly nodeName: boolean;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** 'Jan 31 17:02:03.123', local time. */
function stamp(time: string): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${MONTHS[date.getMonth()]} ${two(date.getDate())} ${clock}.${ms}`;
}

function endText(end: FlowEnd, event: FlowEvent, numeric: boolean): string {
  const { endpoint, ip, port } = end;
  const isNamed = !numeric && endpoint.type === 'WorkloadEndpoint';
  const isHost = !numeric && endpoint.type === 'HostEndpoint';
  const name = isNamed
    ? `${endpoint.namespace}/${endpoint.name}`
    : isHost
      ? endpoint.name
      : ip.includes(':')
        ? `[${ip}]`
        : ip;
  const hasPorts = ['tcp', 'udp', 'sctp'].includes(event.proto);
  return hasPorts ? `${name}:${port}` : name;
}

/** 'tier|np:ns/name rule' of what decided, or why else. */
function decider(event: FlowEvent): string {
  const hit = event.policies.enforced.at(-1);
  if (event.reason !== 'policy') return event.reason;
  if (hit === undefined) return 'no policy here';
  const [, tier, name, , rule] = formatHit(hit).split('|');
  return `${tier}|${name} ${rule === '-1' ? 'eot' : rule}`;
}

const count = (event: FlowEvent): string => {
  if (event.type !== 'end' || event.bytes === undefined || event.packets === undefined) {
    return event.repeats > 0 ? ` +${event.repeats} alike` : '';
  }
  const { bytes, packets } = event;
  return ` ended, ${packets.out}/${packets.in} packets, ${bytes.out}/${bytes.in} bytes`;
};

/** 'Jan 31 17:02:03.123: shop/web:44321 -> db/pg:5432 Deny TCP (default|np:db/pg eot)'. */
export function flowLine(event: FlowEvent, { numeric, nodeName }: FlowTextOptions): string {
  const node = nodeName ? ` [${event.node}]` : '';
  const arrow = event.proto.startsWith('icmp') ? '<>' : '->';
  const ends = [event.src, event.dst].map((end) => endText(end, event, numeric));
  const verdict = `${event.verdict} ${event.proto.toUpperCase()}`;
  return `${stamp(event.time)}${node}: ${ends.join(` ${arrow} `)} ${verdict} (${decider(event)})${count(event)}`;
}
