/** Does a rule match a packet, and if not, on what account? In words, because people ask why. Pure. */
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { type Ip, parseIp } from '../base/net/ip.js';
import { formatPortRange, portRangeContains } from '../base/net/port.js';
import type { DesiredRule, DesiredSide, IcmpMatch, IpSetId } from '../model/desired.js';
import { carriesPorts, type FlowPacket, ICMP, ICMP6, protocolName } from './flow-packet.js';

/** Canonical members of a set; undefined: it was never said. */
export type MembersOf = (id: IpSetId) => ReadonlySet<string> | undefined;

interface End {
  readonly side: 'source' | 'destination';
  readonly ip: Ip;
  readonly text: string;
  readonly port: number;
  readonly protocol: number;
}

/** One sentence for each criterion that fails; none: the rule matches. */
export function mismatches(
  rule: DesiredRule,
  packet: FlowPacket,
  membersOf: MembersOf,
): readonly string[] {
  if (rule.never === true) return ['it can match no packet at all'];
  const source = endOf('source', packet);
  const destination = endOf('destination', packet);
  const family = source.ip.family;
  const failed: string[] = [];
  if (rule.ipVersion !== undefined && rule.ipVersion !== family) {
    failed.push(`the packet is IPv${family}, the rule is for IPv${rule.ipVersion}`);
  }
  failed.push(...protocolMismatches(rule, packet));
  failed.push(...sideMismatches(rule.source ?? {}, source, membersOf));
  failed.push(...sideMismatches(rule.destination ?? {}, destination, membersOf));
  return failed;
}

function endOf(side: End['side'], packet: FlowPacket): End {
  const text = packet[side];
  const ip = parseIp(text);
  if (ip === null) throw new RangeError(`${side} ${text} is not an address`);
  const port = side === 'source' ? packet.sourcePort : packet.destinationPort;
  return { side, ip, text, port, protocol: packet.protocol };
}

function protocolMismatches(rule: DesiredRule, packet: FlowPacket): readonly string[] {
  const { protocol } = packet;
  const failed: string[] = [];
  if (rule.protocol !== undefined && rule.protocol !== protocol) {
    failed.push(`protocol is ${protocolName(protocol)}, not ${protocolName(rule.protocol)}`);
  }
  if (rule.notProtocol === protocol) failed.push(`protocol is ${protocolName(protocol)}`);
  if (rule.icmp !== undefined && !icmpIs(rule.icmp, packet)) {
    failed.push(`the packet is not ${icmpText(rule.icmp)}`);
  }
  if (rule.notIcmp !== undefined && icmpIs(rule.notIcmp, packet)) {
    failed.push(`the packet is ${icmpText(rule.notIcmp)}`);
  }
  return failed;
}

function icmpIs(wanted: IcmpMatch, { protocol, icmp, source }: FlowPacket): boolean {
  if (protocol !== (source.includes(':') ? ICMP6 : ICMP) || icmp === undefined) return false;
  return icmp.type === wanted.type && (wanted.code === undefined || wanted.code === icmp.code);
}

const icmpText = ({ type, code }: IcmpMatch): string =>
  code === undefined ? `ICMP type ${type}` : `ICMP type ${type} code ${code}`;

function sideMismatches(side: DesiredSide, end: End, membersOf: MembersOf): readonly string[] {
  const failed: string[] = [];
  const { side: name, text } = end;
  const inNet = (net: string): boolean => netOf(net)?.containsIp(end.ip) ?? false;
  const inSet = (id: IpSetId): boolean => setContains(membersOf(id), end.ip);
  const { nets = [], notNets = [] } = side;
  if (nets.length > 0 && !nets.some(inNet)) {
    failed.push(`${name} ${text} is not in ${nets.join(', ')}`);
  }
  const refused = notNets.find(inNet);
  if (refused !== undefined) failed.push(`${name} ${text} is in ${refused}`);
  // A list without a network of the family keeps the rule from that family (spec/policy.md 9.4).
  if (notNets.length > 0 && !notNets.some((net) => netOf(net)?.family === end.ip.family)) {
    failed.push(`${name} ${text} is IPv${end.ip.family}, of which ${notNets.join(', ')} has none`);
  }
  if (!(side.ipSets ?? []).every(inSet)) {
    failed.push(`${name} ${text} is not selected`);
  }
  if (side.notIpSets?.some(inSet)) failed.push(`${name} ${text} is selected by the negation`);
  return [...failed, ...portMismatches(side, end, membersOf)];
}

function portMismatches(side: DesiredSide, end: End, membersOf: MembersOf): readonly string[] {
  const { ports = [], namedPorts = [], notPorts = [], notNamedPorts = [] } = side;
  if (ports.length + namedPorts.length + notPorts.length + notNamedPorts.length === 0) return [];
  const { side: name, port, protocol } = end;
  if (!carriesPorts(protocol)) return [`${protocolName(protocol)} has no ports`];
  const named = (id: IpSetId): boolean => portSetContains(membersOf(id), end);
  const failed: string[] = [];
  if (ports.length + namedPorts.length > 0) {
    const hit = ports.some((range) => portRangeContains(range, port)) || namedPorts.some(named);
    const wanted = [...ports.map(formatPortRange), ...namedPorts.map(() => 'its named ports')];
    if (!hit) failed.push(`${name} port ${port} is not in ${wanted.join(', ')}`);
  }
  if (notPorts.some((range) => portRangeContains(range, port)) || notNamedPorts.some(named)) {
    failed.push(`${name} port ${port} is excluded`);
  }
  return failed;
}

function netOf(text: string): Cidr | null {
  return parseCidr(text, { allowHostBits: true });
}

function setContains(members: ReadonlySet<string> | undefined, ip: Ip): boolean {
  for (const member of members ?? []) if (netOf(member)?.containsIp(ip)) return true;
  return false;
}

/** Members are 'address,protocol:port'. */
function portSetContains(members: ReadonlySet<string> | undefined, end: End): boolean {
  const suffix = `,${end.protocol}:${end.port}`;
  for (const member of members ?? []) {
    if (!member.endsWith(suffix)) continue;
    if (netOf(member.slice(0, -suffix.length))?.containsIp(end.ip)) return true;
  }
  return false;
}
