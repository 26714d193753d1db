/** Which bits of a packet's mark mean what; taken from the bits we may use, lowest first (IptablesMarkMask). */
import { CodedError } from '../../base/error.js';

export interface MarkBits {
  /** The policy that was asked last, or an earlier stage of a host endpoint, lets the packet through. */
  readonly accepted: number;
  /** A policy in a chain of its own has said Pass: the rest of its tier is left out. */
  readonly passed: number;
  /** Both, for clearing. */
  readonly all: number;
}

/** @throws CodedError ERR_DATAPLANE when the mask has fewer than two bits. */
export function markBits(mask: number): MarkBits {
  const bits = Array.from({ length: 32 }, (_, index) => (1 << index) >>> 0).filter(
    (bit) => (mask & bit) !== 0,
  );
  const [accepted, passed] = bits;
  if (accepted === undefined || passed === undefined) {
    const found = `0x${mask.toString(16)}`;
    throw new CodedError('ERR_DATAPLANE', `IptablesMarkMask is ${found}: wanted at least two bits`);
  }
  return { accepted, passed, all: (accepted | passed) >>> 0 };
}

/** As iptables takes it: '0x10000/0x10000'. */
export const markSet = (bit: number): string => `0x${bit.toString(16)}/0x${bit.toString(16)}`;
/** The value in which the bits are clear. */
export const markClear = (bits: number): string => `0x0/0x${bits.toString(16)}`;
