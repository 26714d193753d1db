/**
 * The bytes of address management's objects: bare JSON without an envelope, as Calico stores it in etcd
 * (spec/datastore.md 2.4, ipam.md 2). In memory they are resources whose spec has the names of the custom resources.
 */
import type { BlockSpec } from '../model/ipam-objects.js';
import { affinityOfPath, blockOfPath } from '../model/ipam-paths.js';

type Fields = Readonly<Record<string, unknown>>;

/** 64-bit numbers, which JSON.parse would round. */
const SEQUENCE = 'sequenceNumber';
const SEQUENCES = 'sequenceNumberForAllocation';

/** Strings whole, so that digits inside them are left alone; and numbers of more digits than a double holds. */
const LONG_NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;
const HAS_LONG_NUMBER = /\d{16}/;

/** As JSON.parse, but whole numbers of 16 and more digits become text. @throws SyntaxError */
export function parseExact(text: string): unknown {
  if (!HAS_LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(
    text.replace(LONG_NUMBERS, (token) => (token.startsWith('"') ? token : `"${token}"`)),
  );
}

/** null: not what the path should hold. @throws SyntaxError */
export function decodeIpamSpec(kind: string, path: string, body: string): Fields | null {
  // An affinity without a value is one that version 2 confirmed.
  const value = body === '' && kind === 'BlockAffinity' ? {} : parseExact(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const fields = value as Fields;
  switch (kind) {
    case 'IPAMBlock':
      return decodeBlock(path, fields);
    case 'BlockAffinity':
      return decodeAffinity(path, fields);
    case 'IPAMConfiguration':
      return decodeConfiguration(fields);
    default:
      return fields;
  }
}

function decodeBlock(path: string, fields: Fields): Fields {
  const { affinity_claim_time, [SEQUENCE]: number, [SEQUENCES]: numbers, ...rest } = fields;
  return {
    ...rest,
    // The key is authoritative.
    cidr: blockOfPath(path) ?? rest['cidr'],
    ...(affinity_claim_time ? { affinityClaimTime: affinity_claim_time } : {}),
    ...(number === undefined ? {} : { [SEQUENCE]: String(number) }),
    ...(isFields(numbers) ? { [SEQUENCES]: mapValues(numbers, String) } : {}),
  };
}

function decodeAffinity(path: string, fields: Fields): Fields {
  const identity = affinityOfPath(path);
  return {
    ...fields,
    state: fields['state'] ?? '',
    node: identity?.host ?? '',
    type: identity?.type ?? 'host',
    cidr: identity?.cidr ?? '',
    deleted: fields['deleted'] === true,
  };
}

function decodeConfiguration(fields: Fields): Fields {
  const { strict_affinity, auto_allocate_blocks, ...rest } = fields;
  // Left out when false, as Go does it.
  return {
    ...rest,
    strictAffinity: strict_affinity === true,
    autoAllocateBlocks: auto_allocate_blocks === true,
  };
}

export function encodeIpamSpec(kind: string, spec: Fields): string {
  switch (kind) {
    case 'IPAMBlock':
      return encodeBlock(spec as unknown as BlockSpec);
    case 'BlockAffinity': {
      const { node: _, type: __, cidr: ___, state = '', deleted = false, ...rest } = spec;
      return JSON.stringify({ state, deleted, ...rest });
    }
    case 'IPAMConfiguration': {
      const { strictAffinity, autoAllocateBlocks, ...rest } = spec;
      return JSON.stringify({
        ...(strictAffinity === true ? { strict_affinity: true } : {}),
        ...(autoAllocateBlocks === false ? {} : { auto_allocate_blocks: true }),
        ...rest,
      });
    }
    default:
      return JSON.stringify(spec);
  }
}

function encodeBlock(spec: BlockSpec): string {
  const { affinityClaimTime, sequenceNumber, sequenceNumberForAllocation, ...rest } = spec;
  const members = JSON.stringify({
    ...rest,
    affinity: rest.affinity ?? null,
    strictAffinity: rest.strictAffinity ?? false,
    deleted: rest.deleted ?? false,
    ...(affinityClaimTime ? { affinity_claim_time: affinityClaimTime } : {}),
  }).slice(0, -1);
  const numbers = Object.entries(sequenceNumberForAllocation ?? {})
    .map(([ordinal, number]) => `${JSON.stringify(ordinal)}:${decimal(number)}`)
    .join(',');
  return `${members},"${SEQUENCE}":${decimal(sequenceNumber ?? '0')},"${SEQUENCES}":{${numbers}}}`;
}

/** Digits and nothing else may go into the bytes unquoted. */
function decimal(text: string): string {
  return BigInt.asUintN(64, BigInt(text)).toString();
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function mapValues<T>(fields: Fields, convert: (value: unknown) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, convert(value)]));
}
