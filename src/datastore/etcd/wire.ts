/**
 * Protobuf messages as tables of fields, on the wire primitives of protobuf-es: typed, without generated code, and
 * without a double anywhere near a 64-bit number. Unknown fields are skipped, absent ones have proto3's zero values.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export interface Field<Out, In = Out> {
  readonly number: number;
  readonly wire: WireType;
  initial(): Out;
  /** Writes tag and value; may leave out what equals the initial value. */
  write(writer: BinaryWriter, value: In): void;
  /** @param before what earlier occurrences of the field gave */
  read(reader: BinaryReader, before: Out): Out;
}

type Fields = Readonly<Record<string, Field<unknown, unknown>>>;

export type Decoded<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer Out, infer _> ? Out : never;
};
export type Encodable<F extends Fields> = {
  readonly [K in keyof F]?: (F[K] extends Field<infer _, infer In> ? In : never) | undefined;
};

export interface Message<Out, In> {
  /** A view on memory of its own. */
  encode(value: In): Buffer;
  /** Bytes in the result are views on `bytes`. @throws Error for what is no message */
  decode(bytes: Uint8Array): Out;
}

/** What a message decodes to. */
export type Out<M> = M extends Message<infer T, infer _> ? T : never;
/** What a message is encoded from. */
export type In<M> = M extends Message<infer _, infer T> ? T : never;

export function message<F extends Fields>(fields: F): Message<Decoded<F>, Encodable<F>> {
  const byNumber = new Map(Object.entries(fields).map((entry) => [entry[1].number, entry]));
  return {
    encode: (value) => {
      const writer = new BinaryWriter();
      for (const [name, field] of Object.entries(fields)) {
        const given: unknown = value[name];
        if (given !== undefined) field.write(writer, given);
      }
      const { buffer, byteOffset, length } = writer.finish();
      return Buffer.from(buffer, byteOffset, length);
    },
    decode: (bytes) => {
      const value: Record<string, unknown> = {};
      for (const [name, field] of byNumber.values()) value[name] = field.initial();
      const reader = new BinaryReader(bytes);
      while (reader.pos < reader.len) {
        const [number, wire] = reader.tag();
        const entry = byNumber.get(number);
        if (entry === undefined || entry[1].wire !== wire) reader.skip(wire, number);
        else value[entry[0]] = entry[1].read(reader, value[entry[0]]);
      }
      return value as Decoded<F>;
    },
  };
}

const NOTHING = new Uint8Array();

export function bytes(number: number): Field<Uint8Array> {
  return {
    number,
    wire: WireType.LengthDelimited,
    initial: () => NOTHING,
    write: (writer, value) => {
      if (value.length > 0) writer.tag(number, WireType.LengthDelimited).bytes(value);
    },
    read: (reader) => reader.bytes(),
  };
}

export function text(number: number): Field<string> {
  return {
    number,
    wire: WireType.LengthDelimited,
    initial: () => '',
    write: (writer, value) => {
      if (value !== '') writer.tag(number, WireType.LengthDelimited).string(value);
    },
    read: (reader) => reader.string(),
  };
}

/** Also of members of a oneof, which count only if they are there: zero is written. */
export function int64(number: number): Field<bigint> {
  return {
    number,
    wire: WireType.Varint,
    initial: () => 0n,
    write: (writer, value) => void writer.tag(number, WireType.Varint).int64(value),
    read: (reader) => BigInt(reader.int64()),
  };
}

/** Identifiers: as they are on the wire. */
export function uint64(number: number): Field<bigint> {
  return { ...int64(number), read: (reader) => BigInt(reader.uint64()) };
}

/** For enumerations too. */
export function int32(number: number): Field<number> {
  return {
    number,
    wire: WireType.Varint,
    initial: () => 0,
    write: (writer, value) => {
      if (value !== 0) writer.tag(number, WireType.Varint).int32(value);
    },
    read: (reader) => reader.int32(),
  };
}

export function flag(number: number): Field<boolean> {
  return {
    number,
    wire: WireType.Varint,
    initial: () => false,
    write: (writer, value) => {
      if (value) writer.tag(number, WireType.Varint).bool(value);
    },
    read: (reader) => reader.bool(),
  };
}

export function embedded<O, I>(number: number, of: Message<O, I>): Field<O | undefined, I> {
  return {
    number,
    wire: WireType.LengthDelimited,
    initial: () => undefined,
    write: (writer, value) =>
      void writer.tag(number, WireType.LengthDelimited).bytes(of.encode(value)),
    read: (reader) => of.decode(reader.bytes()),
  };
}

export function repeated<O, I>(
  number: number,
  of: Message<O, I>,
): Field<readonly O[], readonly I[]> {
  return {
    number,
    wire: WireType.LengthDelimited,
    initial: () => [],
    write: (writer, values) => {
      for (const value of values)
        writer.tag(number, WireType.LengthDelimited).bytes(of.encode(value));
    },
    read: (reader, before) => {
      // Ours alone until the message is complete: a page has a thousand.
      (before as O[]).push(of.decode(reader.bytes()));
      return before;
    },
  };
}
