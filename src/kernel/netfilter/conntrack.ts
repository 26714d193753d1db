/** The kernel's connection tracking over NETLINK_NETFILTER (linux/netfilter/nfnetlink_conntrack.h). */
import { formatIp, ipFromBytes } from '../../base/net/ip.js';
import { native } from '../addon.js';
import { ERRNO, isNetlinkErrno } from '../kernel-error.js';
import { NetlinkConnection, type WaitOptions } from '../netlink/connection.js';
import { Attributes, MessageWriter, type NetlinkMessage } from '../netlink/message.js';

const NETLINK_NETFILTER = 12;
const RECEIVE_BUFFER_BYTES = 4 << 20;
const SUBSYSTEM_CONNTRACK = 1;
const COMMAND = { get: 1, delete: 2 } as const;
const messageType = (command: number): number => (SUBSYSTEM_CONNTRACK << 8) | command;
const NFGENMSG_BYTES = 4;
const NESTED = 0x8000;
const CTA = { original: 1, reply: 2, id: 12, zone: 18 } as const;
const CTA_TUPLE_IP = 1;
/** Source and destination of either family, within CTA_TUPLE_IP. */
const CTA_IP_ADDRESSES = [1, 2, 3, 4];

/** A socket of NETLINK_NETFILTER in this network namespace. */
export function openNetfilter(): NetlinkConnection {
  return new NetlinkConnection(
    (callbacks) =>
      new (native().NetlinkSocket)({
        protocol: NETLINK_NETFILTER,
        receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        ...callbacks,
      }),
  );
}

/**
 * Forgets every connection that has one of the addresses (bare canonical text) at an end, before or after
 * translation. Returns how many there were.
 *
 * @throws KernelError when the kernel does not answer. Connections that end by themselves meanwhile are no error.
 */
export async function deleteConnections(
  connection: NetlinkConnection,
  addresses: ReadonlySet<string>,
  options: WaitOptions = {},
): Promise<number> {
  // Family 0: both.
  const body = new MessageWriter().bytes(new Uint8Array(NFGENMSG_BYTES)).finish();
  const request = { type: messageType(COMMAND.get), body, what: 'list connections' };
  let deleted = 0;
  for (const entry of await connection.dump(request, options)) {
    if (!addressesOf(entry).some((address) => addresses.has(address))) continue;
    if (await deleteConnection(connection, entry, options)) deleted++;
  }
  return deleted;
}

function addressesOf(entry: NetlinkMessage): readonly string[] {
  const attributes = Attributes.decode(entry.payload, NFGENMSG_BYTES);
  return [CTA.original, CTA.reply].flatMap((direction) => {
    const ends = attributes.nested(direction)?.nested(CTA_TUPLE_IP);
    return CTA_IP_ADDRESSES.flatMap((type) => {
      const bytes = ends?.bytes(type);
      const ip = bytes === undefined ? null : ipFromBytes(bytes);
      return ip === null ? [] : [formatIp(ip)];
    });
  });
}

/** False: it was gone already. */
async function deleteConnection(
  connection: NetlinkConnection,
  entry: NetlinkMessage,
  options: WaitOptions,
): Promise<boolean> {
  const attributes = Attributes.decode(entry.payload, NFGENMSG_BYTES);
  const writer = new MessageWriter().bytes(entry.payload.subarray(0, NFGENMSG_BYTES));
  for (const [type, flag] of [
    [CTA.original, NESTED],
    [CTA.id, 0],
    [CTA.zone, 0],
  ] as const) {
    const bytes = attributes.bytes(type);
    if (bytes !== undefined) writer.attribute(type | flag, bytes);
  }
  const body = writer.finish();
  try {
    const type = messageType(COMMAND.delete);
    await connection.request({ type, body, what: 'delete a connection' }, options);
    return true;
  } catch (error) {
    if (isNetlinkErrno(error, ERRNO.ENOENT)) return false;
    throw error;
  }
}
