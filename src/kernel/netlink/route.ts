/** Routes: RTM_*ROUTE (linux/rtnetlink.h). */
import { Cidr } from '../../base/net/cidr.js';
import { formatIp, type Ip, ip4, ip6, ipFromBytes, ipToBytes } from '../../base/net/ip.js';
import { AF } from './address.js';
import type { NetlinkConnection, WaitOptions } from './connection.js';
import {
  Attributes,
  fixedPart,
  LITTLE_ENDIAN,
  MessageWriter,
  type NetlinkMessage,
  NLM_F,
} from './message.js';

export const RTM_ROUTE = { new: 24, delete: 25, get: 26 } as const;

const RTMSG_BYTES = 12;
const RTA = {
  destination: 1,
  outInterface: 4,
  gateway: 5,
  priority: 6,
  source: 7,
  multipath: 9,
  table: 15,
  via: 18,
} as const;
const RTM_F_CLONED = 0x200;
const RTNH_F_ONLINK = 4;

export const ROUTE_TABLE_MAIN = 254;
export const ROUTE_SCOPE = { universe: 0, link: 253, host: 254, nowhere: 255 } as const;
export const ROUTE_TYPE = { unicast: 1, local: 2, blackhole: 6 } as const;
/** Who made a route. */
export const ROUTE_PROTOCOL = { kernel: 2, boot: 3, static: 4, bird: 12 } as const;

export interface Route {
  readonly destination: Cidr;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  /** 0: none (blackhole, multipath). */
  readonly ifindex: number;
  readonly gateway?: Ip;
  /** Preferred source address. */
  readonly source?: Ip;
  /** 0: none given. */
  readonly metric: number;
  readonly onlink: boolean;
  /** More than one next hop, which are not decoded; or one of another family. */
  readonly complex: boolean;
}

/** null: of another family, or a cache entry. */
export function decodeRoute(message: NetlinkMessage): Route | null {
  const fixed = fixedPart(message.payload, RTMSG_BYTES, 'rtmsg');
  const family = fixed.getUint8(0);
  const flags = fixed.getUint32(8, LITTLE_ENDIAN);
  if ((family !== AF.inet && family !== AF.inet6) || (flags & RTM_F_CLONED) !== 0) return null;
  const attributes = Attributes.decode(message.payload, RTMSG_BYTES);
  const addressOf = (type: number): Ip | null => {
    const bytes = attributes.bytes(type);
    return bytes === undefined ? null : ipFromBytes(bytes);
  };
  const any = family === AF.inet ? ip4(0) : ip6(0, 0, 0, 0);
  const destination = addressOf(RTA.destination) ?? any;
  const length = fixed.getUint8(1);
  const gateway = addressOf(RTA.gateway);
  const source = addressOf(RTA.source);
  // An IPv4-mapped IPv6 prefix reads as IPv4, whose length it exceeds: nothing of ours.
  if (destination.family === 4 && length > 32) return null;
  return {
    destination: new Cidr(destination, length),
    table: attributes.u32(RTA.table) ?? fixed.getUint8(4),
    protocol: fixed.getUint8(5),
    scope: fixed.getUint8(6),
    type: fixed.getUint8(7),
    ifindex: attributes.u32(RTA.outInterface) ?? 0,
    metric: attributes.u32(RTA.priority) ?? 0,
    onlink: (flags & RTNH_F_ONLINK) !== 0,
    complex: attributes.has(RTA.multipath) || attributes.has(RTA.via),
    ...(gateway === null ? {} : { gateway }),
    ...(source === null ? {} : { source }),
  };
}

export type NewRoute = Omit<Route, 'complex'>;

export function encodeRoute(route: NewRoute): Uint8Array {
  const { destination, table } = route;
  const writer = new MessageWriter()
    .u8(destination.family === 4 ? AF.inet : AF.inet6)
    .u8(destination.prefixLength)
    .u8(0)
    .u8(0)
    // One byte holds tables up to 255; the attribute holds any.
    .u8(table < 256 ? table : 0)
    .u8(route.protocol)
    .u8(route.scope)
    .u8(route.type)
    .u32(route.onlink ? RTNH_F_ONLINK : 0)
    .attribute(RTA.destination, ipToBytes(destination.address))
    .attributeU32(RTA.table, table);
  if (route.ifindex !== 0) writer.attributeU32(RTA.outInterface, route.ifindex);
  if (route.gateway !== undefined) writer.attribute(RTA.gateway, ipToBytes(route.gateway));
  if (route.source !== undefined) writer.attribute(RTA.source, ipToBytes(route.source));
  if (route.metric !== 0) writer.attributeU32(RTA.priority, route.metric);
  return writer.finish();
}

/** '10.65.0.2/32 dev 7', '10.65.1.0/26 via 172.31.0.2 dev 3': for messages. */
export function formatRoute(route: NewRoute): string {
  const via = route.gateway === undefined ? '' : ` via ${formatIp(route.gateway)}`;
  const device = route.ifindex === 0 ? '' : ` dev ${route.ifindex}`;
  return `${route.destination}${via}${device}`;
}

/** Of all tables and makers, or of one maker: then the kernel leaves out the others, of which there may be thousands. */
export async function listRoutes(
  connection: NetlinkConnection,
  family: 4 | 6,
  { protocol, ...options }: WaitOptions & { readonly protocol?: number } = {},
): Promise<readonly Route[]> {
  const body = new MessageWriter()
    .u8(family === 4 ? AF.inet : AF.inet6)
    .bytes(new Uint8Array(4))
    .u8(protocol ?? 0)
    .bytes(new Uint8Array(6));
  const request = { type: RTM_ROUTE.get, body: body.finish(), what: `list IPv${family} routes` };
  const replies = await connection.dump(request, options);
  const routes = replies.map(decodeRoute).filter((route) => route !== null);
  // Kernels before 4.20 send all.
  return protocol === undefined ? routes : routes.filter((route) => route.protocol === protocol);
}

/** sock_filter.code; operands are big-endian for it. */
const BPF = { loadByte: 0x30, loadHalf: 0x28, jumpIfEqual: 0x15, return: 0x06 } as const;
const NLMSG_TYPE_OFFSET = 4;
const RTM_PROTOCOL_OFFSET = 16 + 5;

/**
 * Classic BPF for a socket that hears of changes: reports of routes only if this protocol made them, everything else.
 * Routing daemons change thousands at a time, and even to read of them is work.
 */
export function routeReportFilter(protocol: number): Uint8Array {
  // The type is little-endian in the message, and fits its first byte.
  const swapped = (type: number): number => type << 8;
  const instructions = [
    [BPF.loadHalf, 0, 0, NLMSG_TYPE_OFFSET],
    [BPF.jumpIfEqual, 1, 0, swapped(RTM_ROUTE.new)],
    [BPF.jumpIfEqual, 0, 2, swapped(RTM_ROUTE.delete)],
    [BPF.loadByte, 0, 0, RTM_PROTOCOL_OFFSET],
    [BPF.jumpIfEqual, 0, 1, protocol],
    [BPF.return, 0, 0, 0xffff_ffff],
    [BPF.return, 0, 0, 0],
  ] as const;
  const writer = new MessageWriter();
  for (const [code, yes, no, k] of instructions) writer.u16(code).u8(yes).u8(no).u32(k);
  return writer.finish();
}

/** Takes the place of a route with the same destination, table and metric. */
export async function replaceRoute(
  connection: NetlinkConnection,
  route: NewRoute,
  options: WaitOptions = {},
): Promise<void> {
  await connection.request(
    {
      type: RTM_ROUTE.new,
      flags: NLM_F.create | NLM_F.replace,
      body: encodeRoute(route),
      what: `route ${formatRoute(route)}`,
    },
    options,
  );
}

/** Only if protocol, interface and gateway are those given. */
export async function deleteRoute(
  connection: NetlinkConnection,
  route: NewRoute,
  options: WaitOptions = {},
): Promise<void> {
  const body = encodeRoute(route);
  const what = `delete route ${formatRoute(route)}`;
  await connection.request({ type: RTM_ROUTE.delete, body, what }, options);
}
