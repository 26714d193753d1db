/**
 * Netlink messages as bytes (linux/netlink.h): a 16-byte header, a fixed structure, then attributes, all
 * aligned to 4. Integers are in host order, which here is little-endian or big-endian as the machine is;
 * addresses and ports inside are in network order.
 */
import { endianness } from 'node:os';
import { KernelError } from '../kernel-error.js';

export const LITTLE_ENDIAN = endianness() === 'LE';

export const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

/** nlmsg_type of control messages. */
export const NLMSG = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

/** nlmsg_flags. `replace` to `append` are for new objects, `root` and `match` for requests. */
export const NLM_F = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  dumpInterrupted: 0x10,
  capped: 0x100,
  ackAttributes: 0x200,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  /** What follows the header. Shares memory with the datagram. */
  readonly payload: Uint8Array;
}

const align4 = (length: number): number => (length + 3) & ~3;

/** Appends fields; grows as needed. Offsets are handed out so that lengths can be filled in later. */
export class MessageWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#reserve(1), value);
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, LITTLE_ENDIAN);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value >>> 0, LITTLE_ENDIAN);
    return this;
  }

  i32(value: number): this {
    return this.u32(value);
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** rta_len counts neither this attribute's padding nor anything after it. */
  attribute(type: number, value: Uint8Array): this {
    this.u16(ATTRIBUTE_HEADER_BYTES + value.length).u16(type);
    return this.bytes(value).pad();
  }

  attributeU8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value));
  }

  attributeU32(type: number, value: number): this {
    this.u16(ATTRIBUTE_HEADER_BYTES + 4).u16(type);
    return this.u32(value);
  }

  /** With the terminating zero that the kernel expects of names. */
  attributeText(type: number, text: string): this {
    return this.attribute(type, Buffer.from(`${text}\0`, 'utf8'));
  }

  /** An attribute made of what `body` writes. */
  nested(type: number, body: (writer: this) => void): this {
    const start = this.#length;
    this.u16(0).u16(type | NESTED);
    body(this);
    this.#view.setUint16(start, this.#length - start, LITTLE_ENDIAN);
    return this;
  }

  pad(): this {
    this.#reserve(align4(this.#length) - this.#length);
    return this;
  }

  /** What was written; a copy. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}

/** A whole message: header and body. Port 0: the kernel fills in ours. */
export function encodeMessage(message: {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}): Uint8Array {
  return new MessageWriter(HEADER_BYTES + message.body.length)
    .u32(HEADER_BYTES + message.body.length)
    .u16(message.type)
    .u16(message.flags)
    .u32(message.sequence)
    .u32(0)
    .bytes(message.body)
    .finish();
}

/**
 * The messages of one datagram.
 *
 * @throws KernelError ERR_KERNEL_NETLINK_FORMAT when a length leads outside it.
 */
export function decodeMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = viewOf(datagram);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length; ) {
    if (datagram.length - at < HEADER_BYTES) throw format('message header', datagram.length - at);
    const length = view.getUint32(at, LITTLE_ENDIAN);
    if (length < HEADER_BYTES || length > datagram.length - at) throw format('message', length);
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      portId: view.getUint32(at + 12, LITTLE_ENDIAN),
      payload: datagram.subarray(at + HEADER_BYTES, at + length),
    });
    at += align4(length);
  }
  return messages;
}

/** Attributes by type; of equal types the last. Reading one that is too short gives undefined. */
export class Attributes {
  readonly #byType = new Map<number, Uint8Array>();

  /** @throws KernelError ERR_KERNEL_NETLINK_FORMAT when a length leads outside `bytes`. */
  static decode(bytes: Uint8Array, offset = 0): Attributes {
    const attributes = new Attributes();
    const view = viewOf(bytes);
    // Fewer than four bytes at the end are padding.
    for (let at = align4(offset); bytes.length - at >= ATTRIBUTE_HEADER_BYTES; ) {
      const length = view.getUint16(at, LITTLE_ENDIAN);
      if (length < ATTRIBUTE_HEADER_BYTES || length > bytes.length - at) {
        throw format('attribute', length);
      }
      const type = view.getUint16(at + 2, LITTLE_ENDIAN) & TYPE_MASK;
      const value = bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length);
      attributes.#byType.set(type, value);
      at += align4(length);
    }
    return attributes;
  }

  has(type: number): boolean {
    return this.#byType.has(type);
  }

  bytes(type: number): Uint8Array | undefined {
    return this.#byType.get(type);
  }

  u8(type: number): number | undefined {
    return this.#byType.get(type)?.[0];
  }

  u32(type: number): number | undefined {
    const value = this.#byType.get(type);
    if (value === undefined || value.length < 4) return undefined;
    return viewOf(value).getUint32(0, LITTLE_ENDIAN);
  }

  i32(type: number): number | undefined {
    const value = this.u32(type);
    return value === undefined ? undefined : value | 0;
  }

  /** Up to the terminating zero, if there is one. */
  text(type: number): string | undefined {
    const value = this.#byType.get(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return Buffer.from(end < 0 ? value : value.subarray(0, end)).toString('utf8');
  }

  nested(type: number): Attributes | undefined {
    const value = this.#byType.get(type);
    return value === undefined ? undefined : Attributes.decode(value);
  }
}

/** A reader over a fixed structure that must be there in full. */
export function fixedPart(payload: Uint8Array, bytes: number, what: string): DataView {
  if (payload.length < bytes) throw format(what, payload.length);
  return new DataView(payload.buffer, payload.byteOffset, bytes);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function format(what: string, length: number): KernelError {
  const message = `netlink ${what} of ${length} bytes does not fit what holds it`;
  return new KernelError('ERR_KERNEL_NETLINK_FORMAT', message);
}
