/** IP sets of the kernel, with members as values. Which sets there are and what for is for the dataplane to say. */
import { formatIp, type Ip, ipFromBytes, ipToBytes } from '../../base/net/ip.js';
import { type IpsetHeader, type IpsetSocket, native } from '../addon.js';

export type { IpsetHeader } from '../addon.js';

/** The types in use here, by the dimensions of their members. */
export type IpsetType = 'hash:net' | 'hash:net,port' | 'hash:net,iface' | 'bitmap:port';

export interface IpsetMember {
  /** Absent in a bitmap:port. */
  readonly address?: Ip;
  /** Bits. Never 0, but in a hash:net,iface: the kernel's hashes have no such prefix. */
  readonly prefixLength?: number;
  /** With `port`, in a hash:net,port. */
  readonly protocol?: number;
  /** Host order. */
  readonly port?: number;
  readonly interfaceName?: string;
}

/** As native/netfilter/ipset_client.h lays it out. */
const MEMBER_BYTES = 40;
const OFFSET = { family: 0, prefix: 1, protocol: 2, port: 4, portTo: 6, address: 8, name: 24 };
const NAME_BYTES = 15;

export function packMembers(members: readonly IpsetMember[]): Uint8Array {
  const bytes = Buffer.alloc(members.length * MEMBER_BYTES);
  members.forEach((member, index) => {
    const at = index * MEMBER_BYTES;
    const { address, prefixLength = 0, protocol = 0, port = 0, interfaceName = '' } = member;
    if (address !== undefined) {
      bytes[at + OFFSET.family] = address.family;
      bytes.set(ipToBytes(address), at + OFFSET.address);
    }
    bytes[at + OFFSET.prefix] = prefixLength;
    bytes[at + OFFSET.protocol] = protocol;
    // The addon reads them as the machine does; every machine that Node runs BPF hosts on is little-endian.
    bytes.writeUInt16LE(port, at + OFFSET.port);
    bytes.writeUInt16LE(port, at + OFFSET.portTo);
    bytes.write(interfaceName.slice(0, NAME_BYTES), at + OFFSET.name, 'latin1');
  });
  return bytes;
}

export function unpackMembers(bytes: Uint8Array): IpsetMember[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const members: IpsetMember[] = [];
  for (let at = 0; at + MEMBER_BYTES <= buffer.length; at += MEMBER_BYTES) {
    const family = buffer[at + OFFSET.family] ?? 0;
    const start = at + OFFSET.address;
    const address =
      family === 0 ? null : ipFromBytes(bytes.subarray(start, start + (family === 4 ? 4 : 16)));
    const protocol = buffer[at + OFFSET.protocol] ?? 0;
    const hasPort = address === null || protocol !== 0;
    const name = buffer.toString('latin1', at + OFFSET.name, at + MEMBER_BYTES);
    const interfaceName = name.slice(0, name.indexOf('\0'));
    members.push({
      ...(address === null ? {} : { address, prefixLength: buffer[at + OFFSET.prefix] ?? 0 }),
      ...(protocol === 0 ? {} : { protocol }),
      ...(hasPort ? { port: buffer.readUInt16LE(at + OFFSET.port) } : {}),
      ...(interfaceName === '' ? {} : { interfaceName }),
    });
  }
  return members;
}

/** One text for equal members. */
export function memberText(member: IpsetMember): string {
  const { address, prefixLength, protocol, port, interfaceName } = member;
  const net = address === undefined ? '' : `${formatIp(address)}/${prefixLength}`;
  const service = port === undefined ? '' : `,${protocol ?? ''}:${port}`;
  return `${net}${service}${interfaceName === undefined ? '' : `,${interfaceName}`}`;
}

export interface NewIpset {
  readonly name: string;
  readonly type: IpsetType;
  /** 0 for a bitmap:port. */
  readonly family: 0 | 4 | 6;
  readonly membersMax: number;
}

/**
 * Each method rejects with a SystemError whose `code` is EEXIST (create), ENOENT, EBUSY (destroy: a rule uses it),
 * ENOSPC (full) or EOPNOTSUPP (the kernel lacks the type).
 */
export class Ipsets implements Disposable {
  readonly #socket: IpsetSocket;

  private constructor(socket: IpsetSocket) {
    this.#socket = socket;
  }

  /** In this network namespace, or in the one at `netns`. */
  static open(options: { readonly netns?: string } = {}): Ipsets {
    return new Ipsets(new (native().IpsetSocket)(options.netns));
  }

  create({ name, type, family, membersMax }: NewIpset): Promise<void> {
    return this.#socket.create(name, type, family, membersMax);
  }

  /** One that is not there is no error. */
  destroy(name: string): Promise<void> {
    return this.#socket.destroy(name);
  }

  swap(first: string, second: string): Promise<void> {
    return this.#socket.swap(first, second);
  }

  async add(name: string, members: readonly IpsetMember[]): Promise<void> {
    if (members.length > 0) await this.#socket.add(name, packMembers(members));
  }

  async remove(name: string, members: readonly IpsetMember[]): Promise<void> {
    if (members.length > 0) await this.#socket.remove(name, packMembers(members));
  }

  headers(): Promise<readonly IpsetHeader[]> {
    return this.#socket.headers();
  }

  async members(name: string): Promise<readonly IpsetMember[]> {
    return unpackMembers(await this.#socket.members(name));
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
