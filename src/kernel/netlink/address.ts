/** Addresses of interfaces: RTM_*ADDR (linux/if_addr.h). */
import { formatIp, type Ip, ipFromBytes, ipToBytes } from '../../base/net/ip.js';
import type { NetlinkConnection, WaitOptions } from './connection.js';
import {
  Attributes,
  fixedPart,
  LITTLE_ENDIAN,
  MessageWriter,
  type NetlinkMessage,
  NLM_F,
} from './message.js';

export const RTM_ADDRESS = { new: 20, delete: 21, get: 22 } as const;

const IFADDRMSG_BYTES = 8;
const IFA = { address: 1, local: 2, flags: 8 } as const;

/** Address family numbers of the kernel. */
export const AF = { unspecified: 0, inet: 2, inet6: 10 } as const;

export interface InterfaceAddress {
  readonly ifindex: number;
  readonly ip: Ip;
  readonly prefixLength: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
}

export function familyNumber(ip: Ip): number {
  return ip.family === 4 ? AF.inet : AF.inet6;
}

/** null: of another family than IPv4 and IPv6. */
export function decodeAddress(message: NetlinkMessage): InterfaceAddress | null {
  const fixed = fixedPart(message.payload, IFADDRMSG_BYTES, 'ifaddrmsg');
  const attributes = Attributes.decode(message.payload, IFADDRMSG_BYTES);
  // On a point-to-point link 'address' is the other end's.
  const bytes = attributes.bytes(IFA.local) ?? attributes.bytes(IFA.address);
  const ip = bytes === undefined ? null : ipFromBytes(bytes);
  if (ip === null) return null;
  return {
    ifindex: fixed.getUint32(4, LITTLE_ENDIAN),
    ip,
    prefixLength: fixed.getUint8(1),
    scope: fixed.getUint8(3),
    flags: attributes.u32(IFA.flags) ?? fixed.getUint8(2),
  };
}

export function encodeAddress(address: Omit<InterfaceAddress, 'flags'>): Uint8Array {
  const bytes = ipToBytes(address.ip);
  return new MessageWriter()
    .u8(familyNumber(address.ip))
    .u8(address.prefixLength)
    .u8(0)
    .u8(address.scope)
    .u32(address.ifindex)
    .attribute(IFA.local, bytes)
    .attribute(IFA.address, bytes)
    .finish();
}

export async function listAddresses(
  connection: NetlinkConnection,
  options: WaitOptions = {},
): Promise<readonly InterfaceAddress[]> {
  const body = new MessageWriter().u32(0).u32(0).finish();
  const request = { type: RTM_ADDRESS.get, body, what: 'list addresses' };
  const replies = await connection.dump(request, options);
  return replies.map(decodeAddress).filter((address) => address !== null);
}

export async function addAddress(
  connection: NetlinkConnection,
  address: Omit<InterfaceAddress, 'flags'>,
  options: WaitOptions = {},
): Promise<void> {
  await connection.request(
    {
      type: RTM_ADDRESS.new,
      flags: NLM_F.create | NLM_F.exclusive,
      body: encodeAddress(address),
      what: `add address ${formatIp(address.ip)} to interface ${address.ifindex}`,
    },
    options,
  );
}

export async function deleteAddress(
  connection: NetlinkConnection,
  address: Omit<InterfaceAddress, 'flags'>,
  options: WaitOptions = {},
): Promise<void> {
  const body = encodeAddress(address);
  const what = `delete address ${formatIp(address.ip)} of interface ${address.ifindex}`;
  await connection.request({ type: RTM_ADDRESS.delete, body, what }, options);
}
