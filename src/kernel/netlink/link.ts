/** Interfaces: RTM_*LINK (linux/if_link.h). */
import { formatMac, parseMac } from '../../base/net/mac.js';
import type { NetlinkConnection, WaitOptions } from './connection.js';
import {
  Attributes,
  fixedPart,
  LITTLE_ENDIAN,
  MessageWriter,
  type NetlinkMessage,
  NLM_F,
} from './message.js';

export const RTM_LINK = { new: 16, delete: 17, get: 18, set: 19 } as const;

const IFINFOMSG_BYTES = 16;
const AF_BRIDGE = 7;
const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  operState: 16,
  linkInfo: 18,
  netNsPid: 19,
  netNsFd: 28,
  extMask: 29,
  linkNetnsid: 37,
} as const;
const IFLA_INFO = { kind: 1, data: 2, slaveKind: 4 } as const;
const VETH_INFO_PEER = 1;
const RTEXT_FILTER_SKIP_STATS = 8;
const IFF_UP = 1;
const IFF_NOARP = 0x80;
const IFF_RUNNING = 0x40;
const IF_OPER = { unknown: 0, up: 6 } as const;

/** ARPHRD_*: what frames on the interface begin with. */
export const LINK_TYPE = { ethernet: 1, loopback: 772 } as const;

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** ARPHRD_*. */
  readonly type: number;
  /** Administratively up. */
  readonly up: boolean;
  /** Has a carrier, as far as the driver says. */
  readonly running: boolean;
  readonly mtu: number;
  /** Lower case with colons; absent: it has none of six bytes. */
  readonly mac?: string;
  /** 'veth', 'bridge', 'vxlan'...; absent: physical or loopback. */
  readonly kind?: string;
  /** Index of the bridge, bond... it belongs to. */
  readonly master?: number;
  /** Kind of the master, as the member sees it: 'bridge', 'bond'... */
  readonly memberOf?: string;
  /** veth: index of the other end, in its own namespace. */
  readonly peerIfindex?: number;
  /** veth: the other end is in another network namespace. */
  readonly peerIsElsewhere: boolean;
}

export interface LinkChange {
  readonly up?: boolean;
  /** Neighbours are not asked for. */
  readonly noArp?: boolean;
  readonly name?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** 0: leave the master. */
  readonly master?: number;
  /** Descriptor of the network namespace to move to. */
  readonly netnsFd?: number;
}

export interface VethOptions {
  readonly name: string;
  readonly peerName: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly peerMac?: string;
  /** Descriptor of the network namespace the peer is to be made in. Default: beside this end. */
  readonly peerNetnsFd?: number;
}

/** null: a message of another kind (AF_BRIDGE reports a port, not an interface). */
export function decodeLink(message: NetlinkMessage): Link | null {
  const fixed = fixedPart(message.payload, IFINFOMSG_BYTES, 'ifinfomsg');
  if (fixed.getUint8(0) === AF_BRIDGE) return null;
  const attributes = Attributes.decode(message.payload, IFINFOMSG_BYTES);
  const info = attributes.nested(IFLA.linkInfo);
  const flags = fixed.getUint32(8, LITTLE_ENDIAN);
  const address = attributes.bytes(IFLA.address);
  const kind = info?.text(IFLA_INFO.kind);
  const memberOf = info?.text(IFLA_INFO.slaveKind);
  const master = attributes.u32(IFLA.master);
  const peerIfindex = attributes.u32(IFLA.link);
  const operState = attributes.u8(IFLA.operState) ?? IF_OPER.unknown;
  return {
    ifindex: fixed.getInt32(4, LITTLE_ENDIAN),
    name: attributes.text(IFLA.name) ?? '',
    type: fixed.getUint16(2, LITTLE_ENDIAN),
    up: (flags & IFF_UP) !== 0,
    running:
      (flags & IFF_RUNNING) !== 0 && (operState === IF_OPER.unknown || operState === IF_OPER.up),
    mtu: attributes.u32(IFLA.mtu) ?? 0,
    peerIsElsewhere: attributes.has(IFLA.linkNetnsid),
    ...(address?.length === 6 ? { mac: formatMac(address) } : {}),
    ...(kind === undefined ? {} : { kind }),
    ...(master === undefined || master === 0 ? {} : { master }),
    ...(memberOf === undefined ? {} : { memberOf }),
    ...(peerIfindex === undefined ? {} : { peerIfindex }),
  };
}

interface Header {
  readonly ifindex?: number;
  readonly flags?: number;
  /** Which of the flags are meant. */
  readonly change?: number;
}

/** struct ifinfomsg with family AF_UNSPEC. */
function header(
  writer: MessageWriter,
  { ifindex = 0, flags = 0, change = 0 }: Header,
): MessageWriter {
  return writer.u8(0).u8(0).u16(0).i32(ifindex).u32(flags).u32(change);
}

export function encodeLinkChange(ifindex: number, change: LinkChange): Uint8Array {
  const writer = header(new MessageWriter(), { ifindex, ...flagChange(change) });
  if (change.name !== undefined) writer.attributeText(IFLA.name, change.name);
  if (change.mac !== undefined) writer.attribute(IFLA.address, macBytes(change.mac));
  if (change.mtu !== undefined) writer.attributeU32(IFLA.mtu, change.mtu);
  if (change.master !== undefined) writer.attributeU32(IFLA.master, change.master);
  if (change.netnsFd !== undefined) writer.attributeU32(IFLA.netNsFd, change.netnsFd);
  return writer.finish();
}

function flagChange({ up, noArp }: LinkChange): Pick<Header, 'flags' | 'change'> {
  const set = (up === true ? IFF_UP : 0) | (noArp === true ? IFF_NOARP : 0);
  const mask = (up === undefined ? 0 : IFF_UP) | (noArp === undefined ? 0 : IFF_NOARP);
  return mask === 0 ? {} : { flags: set, change: mask };
}

export function encodeVeth(options: VethOptions): Uint8Array {
  const common = (writer: MessageWriter, name: string, mac: string | undefined): void => {
    writer.attributeText(IFLA.name, name);
    if (options.mtu !== undefined) writer.attributeU32(IFLA.mtu, options.mtu);
    if (mac !== undefined) writer.attribute(IFLA.address, macBytes(mac));
  };
  const writer = header(new MessageWriter(), {});
  common(writer, options.name, options.mac);
  return writer
    .nested(IFLA.linkInfo, (info) => {
      info.attributeText(IFLA_INFO.kind, 'veth').nested(IFLA_INFO.data, (data) => {
        data.nested(VETH_INFO_PEER, (peer) => {
          header(peer, {});
          common(peer, options.peerName, options.peerMac);
          if (options.peerNetnsFd !== undefined) {
            peer.attributeU32(IFLA.netNsFd, options.peerNetnsFd);
          }
        });
      });
    })
    .finish();
}

function macBytes(text: string): Uint8Array {
  const bytes = parseMac(text);
  if (bytes?.length !== 6) throw new TypeError(`"${text}" is not a MAC address of six bytes`);
  return bytes;
}

/** Without the counters, which make most of a dump. */
export async function listLinks(
  connection: NetlinkConnection,
  options: WaitOptions = {},
): Promise<readonly Link[]> {
  const body = header(new MessageWriter(), {})
    .attributeU32(IFLA.extMask, RTEXT_FILTER_SKIP_STATS)
    .finish();
  const request = { type: RTM_LINK.get, body, what: 'list interfaces' };
  const replies = await connection.dump(request, options);
  return replies.map(decodeLink).filter((link) => link !== null);
}

/** Makes a pair; both ends are down. */
export async function addVeth(
  connection: NetlinkConnection,
  veth: VethOptions,
  options: WaitOptions = {},
): Promise<void> {
  await connection.request(
    {
      type: RTM_LINK.new,
      flags: NLM_F.create | NLM_F.exclusive,
      body: encodeVeth(veth),
      what: `add veth ${veth.name}`,
    },
    options,
  );
}

/** Makes an interface of a kind that needs nothing else said, 'ipip'; the kernel loads its module if it has one. */
export async function addPlainLink(
  connection: NetlinkConnection,
  { name, kind }: { readonly name: string; readonly kind: string },
  options: WaitOptions = {},
): Promise<void> {
  const body = header(new MessageWriter(), {})
    .attributeText(IFLA.name, name)
    .nested(IFLA.linkInfo, (info) => {
      info.attributeText(IFLA_INFO.kind, kind);
    })
    .finish();
  await connection.request(
    {
      type: RTM_LINK.new,
      flags: NLM_F.create | NLM_F.exclusive,
      body,
      what: `add interface ${name} of kind ${kind}`,
    },
    options,
  );
}

export async function changeLink(
  connection: NetlinkConnection,
  link: { readonly ifindex: number; readonly change: LinkChange },
  options: WaitOptions = {},
): Promise<void> {
  const body = encodeLinkChange(link.ifindex, link.change);
  const what = `change interface ${link.ifindex} (${Object.keys(link.change).join(', ')})`;
  await connection.request({ type: RTM_LINK.new, body, what }, options);
}

export async function deleteLink(
  connection: NetlinkConnection,
  ifindex: number,
  options: WaitOptions = {},
): Promise<void> {
  const body = header(new MessageWriter(), { ifindex }).finish();
  const what = `delete interface ${ifindex}`;
  await connection.request({ type: RTM_LINK.delete, body, what }, options);
}
