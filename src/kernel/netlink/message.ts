/**
 * Netlink messages and attributes (netlink(7), rtnetlink(7)). Host byte order unless a comment says otherwise;
 * everything is padded to four bytes. Reading never goes beyond what a length field and the buffer both allow.
 */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_MULTI = 0x2;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_CAPPED = 0x100;

const HEADER_BYTES = 16;
const ATTRIBUTE_BYTES = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags in the type. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

const aligned = (length: number): number => (length + 3) & ~3;

/** Attribute type → value. Of repeated types the last one counts, as in the kernel. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  /** After the header, without padding. */
  readonly payload: Uint8Array;
}

export interface AttributeInput {
  readonly type: number;
  readonly value: Uint8Array;
}

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  view(bytes).setUint32(0, value, true);
  return bytes;
}

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

/** Zero-terminated. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

export function readU32(bytes: Uint8Array, offset = 0): number {
  return bytes.byteLength >= offset + 4 ? view(bytes).getUint32(offset, true) : 0;
}

export function readI32(bytes: Uint8Array, offset = 0): number {
  return bytes.byteLength >= offset + 4 ? view(bytes).getInt32(offset, true) : 0;
}

export function readU16(bytes: Uint8Array, offset = 0): number {
  return bytes.byteLength >= offset + 2 ? view(bytes).getUint16(offset, true) : 0;
}

export function readString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export function encodeAttributes(attributes: readonly AttributeInput[]): Uint8Array {
  const size = attributes.reduce(
    (sum, { value }) => sum + aligned(ATTRIBUTE_BYTES + value.byteLength),
    0,
  );
  const bytes = new Uint8Array(size);
  const data = view(bytes);
  let at = 0;
  for (const { type, value } of attributes) {
    data.setUint16(at, ATTRIBUTE_BYTES + value.byteLength, true);
    data.setUint16(at + 2, type, true);
    bytes.set(value, at + ATTRIBUTE_BYTES);
    at += aligned(ATTRIBUTE_BYTES + value.byteLength);
  }
  return bytes;
}

/** Attributes from `offset` on; a malformed rest is left out. */
export function decodeAttributes(bytes: Uint8Array, offset: number): Attributes {
  const attributes = new Map<number, Uint8Array>();
  let at = aligned(offset);
  while (at + ATTRIBUTE_BYTES <= bytes.byteLength) {
    const length = readU16(bytes, at);
    if (length < ATTRIBUTE_BYTES || at + length > bytes.byteLength) break;
    attributes.set(
      readU16(bytes, at + 2) & ATTRIBUTE_TYPE_MASK,
      bytes.subarray(at + ATTRIBUTE_BYTES, at + length),
    );
    at += aligned(length);
  }
  return attributes;
}

export interface RequestInput {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The fixed structure after the header, already padded. */
  readonly body: Uint8Array;
  readonly attributes?: readonly AttributeInput[];
}

export function encodeRequest(request: RequestInput): Uint8Array {
  const attributes = encodeAttributes(request.attributes ?? []);
  const bytes = new Uint8Array(
    HEADER_BYTES + aligned(request.body.byteLength) + attributes.byteLength,
  );
  const data = view(bytes);
  data.setUint32(0, bytes.byteLength, true);
  data.setUint16(4, request.type, true);
  data.setUint16(6, request.flags | NLM_F_REQUEST, true);
  data.setUint32(8, request.sequence, true);
  bytes.set(request.body, HEADER_BYTES);
  bytes.set(attributes, HEADER_BYTES + aligned(request.body.byteLength));
  return bytes;
}

/** The messages of one datagram; a malformed rest is left out. */
export function decodeMessages(datagram: Uint8Array): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= datagram.byteLength) {
    const length = readU32(datagram, at);
    if (length < HEADER_BYTES || at + length > datagram.byteLength) break;
    messages.push({
      type: readU16(datagram, at + 4),
      flags: readU16(datagram, at + 6),
      sequence: readU32(datagram, at + 8),
      portId: readU32(datagram, at + 12),
      payload: datagram.subarray(at + HEADER_BYTES, at + length),
    });
    at += aligned(length);
  }
  return messages;
}
