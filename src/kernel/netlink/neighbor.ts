/** Neighbours: RTM_*NEIGH (linux/neighbour.h). */
import { formatIp, type Ip, ipFromBytes, ipToBytes } from '../../base/net/ip.js';
import { formatMac, parseMac } from '../../base/net/mac.js';
import { AF, familyNumber } from './address.js';
import type { NetlinkConnection, WaitOptions } from './connection.js';
import {
  Attributes,
  fixedPart,
  LITTLE_ENDIAN,
  MessageWriter,
  type NetlinkMessage,
  NLM_F,
} from './message.js';

export const RTM_NEIGHBOR = { new: 28, delete: 29, get: 30 } as const;

const NDMSG_BYTES = 12;
const NDA = { destination: 1, linkAddress: 2, protocol: 12 } as const;
const NTF_PROXY = 8;

/** NUD_*: how sure the kernel is. */
export const NEIGHBOR_STATE = { reachable: 2, stale: 4, failed: 32, permanent: 128 } as const;

export interface Neighbor {
  readonly ifindex: number;
  readonly ip: Ip;
  /** Absent while it is not known. */
  readonly mac?: string;
  /** NEIGHBOR_STATE. */
  readonly state: number;
  /** Who made the entry, numbered as for routes (Linux 5.2); 0: nobody said. */
  readonly protocol: number;
}

/** null: of another family (bridge forwarding entries are AF_BRIDGE), or a proxy entry. */
export function decodeNeighbor(message: NetlinkMessage): Neighbor | null {
  const fixed = fixedPart(message.payload, NDMSG_BYTES, 'ndmsg');
  const family = fixed.getUint8(0);
  const proxy = (fixed.getUint8(10) & NTF_PROXY) !== 0;
  if ((family !== AF.inet && family !== AF.inet6) || proxy) return null;
  const attributes = Attributes.decode(message.payload, NDMSG_BYTES);
  const bytes = attributes.bytes(NDA.destination);
  const ip = bytes === undefined ? null : ipFromBytes(bytes);
  if (ip === null) return null;
  const mac = attributes.bytes(NDA.linkAddress);
  return {
    ifindex: fixed.getInt32(4, LITTLE_ENDIAN),
    ip,
    state: fixed.getUint16(8, LITTLE_ENDIAN),
    protocol: attributes.u8(NDA.protocol) ?? 0,
    ...(mac?.length === 6 ? { mac: formatMac(mac) } : {}),
  };
}

export function encodeNeighbor(neighbor: Neighbor): Uint8Array {
  const writer = new MessageWriter()
    .u8(familyNumber(neighbor.ip))
    .u8(0)
    .u16(0)
    .i32(neighbor.ifindex)
    .u16(neighbor.state)
    .u8(0)
    .u8(0)
    .attribute(NDA.destination, ipToBytes(neighbor.ip));
  const mac = neighbor.mac === undefined ? null : parseMac(neighbor.mac);
  if (mac !== null) writer.attribute(NDA.linkAddress, mac);
  if (neighbor.protocol !== 0) writer.attributeU8(NDA.protocol, neighbor.protocol);
  return writer.finish();
}

export async function listNeighbors(
  connection: NetlinkConnection,
  options: WaitOptions = {},
): Promise<readonly Neighbor[]> {
  const body = new MessageWriter().bytes(new Uint8Array(NDMSG_BYTES)).finish();
  const request = { type: RTM_NEIGHBOR.get, body, what: 'list neighbours' };
  const replies = await connection.dump(request, options);
  return replies.map(decodeNeighbor).filter((neighbor) => neighbor !== null);
}

/** Makes the entry, or changes the one of that interface and address. */
export async function replaceNeighbor(
  connection: NetlinkConnection,
  neighbor: Neighbor,
  options: WaitOptions = {},
): Promise<void> {
  await connection.request(
    {
      type: RTM_NEIGHBOR.new,
      flags: NLM_F.create | NLM_F.replace,
      body: encodeNeighbor(neighbor),
      what: `neighbour ${formatIp(neighbor.ip)} on interface ${neighbor.ifindex}`,
    },
    options,
  );
}

export async function deleteNeighbor(
  connection: NetlinkConnection,
  neighbor: Neighbor,
  options: WaitOptions = {},
): Promise<void> {
  const body = encodeNeighbor(neighbor);
  const what = `delete neighbour ${formatIp(neighbor.ip)} of interface ${neighbor.ifindex}`;
  await connection.request({ type: RTM_NEIGHBOR.delete, body, what }, options);
}
