/** What is wrong with a stored block (spec/ipam.md 14, invariants 1 to 5). Pure. */
import { parseCidr } from '../base/net/cidr.js';
import { ipBits } from '../base/net/ip.js';
import type { BlockSpec } from '../model/ipam-objects.js';

/** Blocks of Calico have at most 4096 addresses; more would be an attack on memory. */
const HOST_BITS_MAX = 12;

/** Sentences that make reading it as a block unsafe; none when it is sound. */
export function blockProblems(spec: BlockSpec): readonly string[] {
  const cidr = parseCidr(spec.cidr);
  if (cidr === null) return [`"${spec.cidr}" is not a CIDR`];
  const hostBits = ipBits(cidr.family) - cidr.prefixLength;
  if (hostBits > HOST_BITS_MAX) return [`${spec.cidr} is larger than a block can be`];
  const { allocations, unallocated, attributes } = spec;
  if (!Array.isArray(allocations)) return ['allocations is not a list'];
  if (!Array.isArray(unallocated)) return ['unallocated is not a list'];
  if (attributes != null && !Array.isArray(attributes)) return ['attributes is not a list'];
  return [
    ...sequenceProblems(spec),
    ...allocationProblems(allocations, {
      size: 2 ** hostBits,
      attributes: attributes?.length ?? 0,
    }),
    ...freeProblems(unallocated, allocations),
  ];
}

function allocationProblems(
  allocations: readonly unknown[],
  { size, attributes }: { readonly size: number; readonly attributes: number },
): readonly string[] {
  if (allocations.length !== size) {
    return [`allocations has ${allocations.length} entries, wanted ${size}`];
  }
  return allocations.flatMap((index, ordinal) => {
    if (index === null) return [];
    const isIndex = Number.isInteger(index) && Number(index) >= 0 && Number(index) < attributes;
    return isIndex ? [] : [`ordinal ${ordinal} points to attribute ${index} of ${attributes}`];
  });
}

function freeProblems(
  unallocated: readonly unknown[],
  allocations: readonly unknown[],
): readonly string[] {
  const seen = new Set<unknown>();
  const problems: string[] = [];
  for (const ordinal of unallocated) {
    if (seen.has(ordinal)) problems.push(`ordinal ${ordinal} is free twice`);
    else if (allocations[Number(ordinal)] !== null || !Number.isInteger(ordinal)) {
      problems.push(`ordinal ${ordinal} is called free, but is allocated or does not exist`);
    }
    seen.add(ordinal);
  }
  const free = allocations.filter((index) => index === null).length;
  if (problems.length === 0 && seen.size !== free) {
    problems.push(`${free} ordinals have no holder, but ${seen.size} are called free`);
  }
  return problems;
}

const DECIMAL = /^\d{1,20}$/;

function sequenceProblems(spec: BlockSpec): readonly string[] {
  const numbers = [
    spec.sequenceNumber ?? '0',
    ...Object.values(spec.sequenceNumberForAllocation ?? {}),
  ];
  return numbers
    .filter((number) => !DECIMAL.test(number))
    .map((number) => `"${number}" is not a sequence number`);
}

/** Invariant 2: what is stored but says nothing of any address. Harmless, and gone with the next write. */
export function unusedAttributes({ attributes, allocations }: BlockSpec): readonly number[] {
  const used = new Set<unknown>(allocations);
  return (attributes ?? []).flatMap((_, i) => (used.has(i) ? [] : [i]));
}
