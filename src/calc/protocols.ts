/** IP protocols by name, and what named-port sets are called. */
import type { IpSetId } from '../model/desired.js';
import { namedPortUid } from '../model/selector/canonical.js';

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ['ICMP', 1],
  ['TCP', 6],
  ['UDP', 17],
  ['ICMPv6', 58],
  ['SCTP', 132],
  ['UDPLite', 136],
]);
/** Of ports that exist at all. */
const PORT_PROTOCOL_NAMES: ReadonlyMap<number, 'tcp' | 'udp' | 'sctp'> = new Map([
  [6, 'tcp'],
  [17, 'udp'],
  [132, 'sctp'],
]);

/** TCP, UDP and SCTP carry ports; nothing else does (spec/policy.md 9.7). */
export function carriesPorts(protocol: number): boolean {
  return PORT_PROTOCOL_NAMES.has(protocol);
}

/** None stays undefined; throws on unknown names and on what is no protocol's number. */
export function protocolNumber(protocol: string | number | undefined): number | undefined {
  if ((protocol ?? '') === '') return undefined;
  const number = NUMBERS.get(String(protocol)) ?? Number(protocol);
  if (!Number.isInteger(number) || number < 1 || number > 255)
    throw new TypeError(`unknown protocol ${protocol}`);
  return number;
}

/** As Calico names such sets (spec/selectors.md 6.2), so that dumps compare. The protocol carries ports. */
export function namedPortSetId(
  selectorUid: string,
  port: { readonly name: string; readonly protocol?: number },
): IpSetId {
  const protocol =
    port.protocol === undefined ? 'any' : (PORT_PROTOCOL_NAMES.get(port.protocol) ?? 'any');
  return namedPortUid(selectorUid, protocol, port.name) as IpSetId;
}
