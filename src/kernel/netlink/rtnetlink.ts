/** Links, addresses, routes and neighbours of one network namespace (rtnetlink(7)). */
import { formatIp, type Ip, ipFromBytes, ipToBytes, parseIp } from '../../base/net/ip.js';
import { formatMac, parseMac } from '../../base/net/mac.js';
import { NetlinkConnection } from './connection.js';
import {
  type AttributeInput,
  type Attributes,
  cString,
  decodeAttributes,
  encodeAttributes,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type NetlinkMessage,
  readString,
  readU32,
  u32,
} from './message.js';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;

const AF_INET = 2;
const AF_INET6 = 10;
const IFF_UP = 1;

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** 'ee:ee:ee:ee:ee:ee'; empty for links without one. */
  readonly mac: string;
  /** 'veth', 'bridge', ...; empty for hardware and lo. */
  readonly kind: string;
}

export interface Address {
  readonly ifindex: number;
  /** Canonical, without prefix. */
  readonly address: string;
  readonly prefixLength: number;
}

export interface Route {
  /** Canonical CIDR. */
  readonly destination: string;
  /** Output interface. */
  readonly ifindex: number;
  /** null: on link. */
  readonly gateway: string | null;
  /** Who made it (RTPROT_*). */
  readonly protocol: number;
  readonly scope: number;
  /** RTN_*: 1 unicast. */
  readonly type: number;
  readonly table: number;
  readonly metric: number;
}

export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
const RT_TABLE_MAIN = 254;
const RTN_UNICAST = 1;
const RTNH_F_ONLINK = 4;
const NUD_PERMANENT = 0x80;

const family = (ip: Ip): number => (ip.family === 4 ? AF_INET : AF_INET6);

function mustParse(text: string): Ip {
  const ip = parseIp(text);
  if (ip === null) throw new TypeError(`"${text}" is not an IP address`);
  return ip;
}

function mustParseMac(text: string): Uint8Array {
  const bytes = parseMac(text);
  if (bytes === null) throw new TypeError(`"${text}" is not a MAC address`);
  return bytes;
}

/** struct ifinfomsg */
function linkBody(ifindex: number, flags = 0, change = 0): Uint8Array {
  const body = new Uint8Array(16);
  body.set(u32(ifindex), 4);
  body.set(u32(flags), 8);
  body.set(u32(change), 12);
  return body;
}

export function decodeLink(message: NetlinkMessage): Link {
  const attributes = decodeAttributes(message.payload, 16);
  const info = attributes.get(18);
  const kind = info === undefined ? undefined : decodeAttributes(info, 0).get(1);
  return {
    ifindex: readU32(message.payload, 4),
    name: readString(attributes.get(3) ?? new Uint8Array()),
    up: (readU32(message.payload, 8) & IFF_UP) !== 0,
    mtu: readU32(attributes.get(4) ?? new Uint8Array()),
    mac: attributes.get(1)?.byteLength === 6 ? formatMac(attributes.get(1) ?? new Uint8Array()) : '',
    kind: kind === undefined ? '' : readString(kind),
  };
}

function addressText(bytes: Uint8Array | undefined): string | null {
  const ip = bytes === undefined ? null : ipFromBytes(bytes);
  return ip === null ? null : formatIp(ip);
}

/** null for what is neither IPv4 nor IPv6. */
export function decodeAddress(message: NetlinkMessage): Address | null {
  const attributes = decodeAttributes(message.payload, 8);
  // IFA_LOCAL is the own end of a point-to-point link; elsewhere both are the same.
  const address = addressText(attributes.get(2) ?? attributes.get(1));
  if (address === null) return null;
  return { ifindex: readU32(message.payload, 4), address, prefixLength: message.payload[1] ?? 0 };
}

function routeMetric(attributes: Attributes): number {
  return readU32(attributes.get(6) ?? new Uint8Array());
}

/** null for what is neither IPv4 nor IPv6, and for multipath routes. */
export function decodeRoute(message: NetlinkMessage): Route | null {
  const { payload } = message;
  if (payload[0] !== AF_INET && payload[0] !== AF_INET6) return null;
  const attributes = decodeAttributes(payload, 12);
  if (attributes.has(9)) return null;
  const any = payload[0] === AF_INET ? '0.0.0.0' : '::';
  const table = attributes.get(15);
  return {
    destination: `${addressText(attributes.get(1)) ?? any}/${payload[1] ?? 0}`,
    ifindex: readU32(attributes.get(4) ?? new Uint8Array()),
    gateway: addressText(attributes.get(5)),
    protocol: payload[5] ?? 0,
    scope: payload[6] ?? 0,
    type: payload[7] ?? 0,
    table: table === undefined ? (payload[4] ?? 0) : readU32(table),
    metric: routeMetric(attributes),
  };
}

export type RouteInput = Pick<Route, 'destination' | 'ifindex' | 'gateway' | 'protocol'>;

function routeRequest(route: RouteInput): {
  body: Uint8Array;
  attributes: readonly AttributeInput[];
} {
  const [address = '', length = ''] = route.destination.split('/');
  const ip = mustParse(address);
  const scope = route.gateway === null ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
  const body = new Uint8Array(12);
  body.set([family(ip), Number(length), 0, 0, RT_TABLE_MAIN, route.protocol, scope, RTN_UNICAST]);
  if (route.gateway !== null) body.set(u32(RTNH_F_ONLINK), 8);
  return {
    body,
    attributes: [
      { type: 1, value: ipToBytes(ip) },
      { type: 4, value: u32(route.ifindex) },
      ...(route.gateway === null ? [] : [{ type: 5, value: ipToBytes(mustParse(route.gateway)) }]),
    ],
  };
}

/** One namespace's rtnetlink: the calling process's own unless another is given. */
export class Rtnetlink implements Disposable {
  readonly #connection: NetlinkConnection;

  constructor(options: { readonly netns?: string } = {}) {
    this.#connection = new NetlinkConnection(options);
  }

  async links(): Promise<readonly Link[]> {
    const parts = await this.#connection.dump('list links', {
      type: RTM_GETLINK,
      body: linkBody(0),
    });
    return parts.map(decodeLink);
  }

  async addresses(): Promise<readonly Address[]> {
    const parts = await this.#connection.dump('list addresses', {
      type: RTM_GETADDR,
      body: new Uint8Array(8),
    });
    return parts.map(decodeAddress).filter((address) => address !== null);
  }

  /** Of the main table, both families, without multipath routes. */
  async routes(): Promise<readonly Route[]> {
    const parts = await this.#connection.dump('list routes', {
      type: RTM_GETROUTE,
      body: new Uint8Array(12),
    });
    return parts
      .map(decodeRoute)
      .filter((route) => route !== null && route.table === RT_TABLE_MAIN) as Route[];
  }

  /** Creates the route, or replaces the one with the same destination. */
  async replaceRoute(route: RouteInput): Promise<void> {
    await this.#connection.change(`route ${route.destination}`, {
      type: RTM_NEWROUTE,
      flags: NLM_F_CREATE | NLM_F_REPLACE,
      ...routeRequest(route),
    });
  }

  async deleteRoute(route: RouteInput): Promise<void> {
    await this.#connection.change(`delete route ${route.destination}`, {
      type: RTM_DELROUTE,
      ...routeRequest(route),
    });
  }

  async setMac(ifindex: number, mac: string): Promise<void> {
    await this.#connection.change(`address of link ${ifindex}`, {
      type: RTM_SETLINK,
      body: linkBody(ifindex),
      attributes: [{ type: 1, value: mustParseMac(mac) }],
    });
  }

  async setUp(ifindex: number): Promise<void> {
    await this.#connection.change(`set link ${ifindex} up`, {
      type: RTM_SETLINK,
      body: linkBody(ifindex, IFF_UP, IFF_UP),
    });
  }

  async addVeth(name: string, peer: string): Promise<void> {
    const peerInfo = new Uint8Array([
      ...linkBody(0),
      ...encodeAttributes([{ type: 3, value: cString(peer) }]),
    ]);
    const info = encodeAttributes([
      { type: 1, value: new TextEncoder().encode('veth') },
      { type: 2, value: encodeAttributes([{ type: 1, value: peerInfo }]) },
    ]);
    await this.#connection.change(`add veth ${name}`, {
      type: RTM_NEWLINK,
      flags: NLM_F_CREATE | NLM_F_EXCL
      body: linkBody(0),
      attributes: [
        { type: 3, value: cString(name) },
        { type: 18, value: info },
      ],
    });
  }

  async deleteLink(ifindex: number): Promise<void> {
    await this.#connection.change(`delete link ${ifindex}`, {
      type: RTM_DELLINK,
      body: linkBody(ifindex),
    });
  }

  /** A permanent neighbour entry. */
  async replaceNeighbor(ifindex: number, address: string, mac: string): Promise<void> {
    const ip = mustParse(address);
    // struct ndmsg: family, pad, pad, ifindex, state, flags, type
    const body = new Uint8Array(12);
    body[0] = family(ip);
    body.set(u32(ifindex), 4);
    body[8] = NUD_PERMANENT;
    await this.#connection.change(`neighbour ${address}`, {
      type: RTM_NEWNEIGH,
      flags: NLM_F_CREATE | NLM_F_REPLACE,
      body,
      attributes: [
        { type: 1, value: ipToBytes(ip) },
        { type: 2, value: mustParseMac(mac) },
      ],
    });
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

export type NetworkEvent =
  | { readonly type: 'link'; readonly link: Link }
  | { readonly type: 'link-gone'; readonly ifindex: number }
  | { readonly type: 'address' | 'address-gone'; readonly address: Address }
  /** Events were lost: read everything again. */
  | { readonly type: 'resync' };

const RTNLGRP_LINK = 1;
const RTNLGRP_IPV4_IFADDR = 5;
const RTNLGRP_IPV6_IFADDR = 9;

/** Calls back for each change of links and addresses until disposed. */
export function monitorNetwork(
  onEvent: (event: NetworkEvent) => void,
  options: { readonly netns?: string } = {},
): Disposable {
  return new NetlinkConnection({
    ...options,
    groups: [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
    onEvent: (message) => {
      const event = toEvent(message);
      if (event) onEvent(event);
    },
    onOverrun: () => onEvent({ type: 'resync' }),
  });
}

function toEvent(message: NetlinkMessage): NetworkEvent | null {
  switch (message.type) {
    case RTM_NEWLINK:
      return { type: 'link', link: decodeLink(message) };
    case RTM_DELLINK:
      return { type: 'link-gone', ifindex: readU32(message.payload, 4) };
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const address = decodeAddress(message);
      return (
        address && { type: message.type === RTM_NEWADDR ? 'address' : 'address-gone', address }
      );
    }
    default:
      return null;
  }
}
