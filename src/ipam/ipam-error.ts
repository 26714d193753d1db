/** What can go wrong with addresses: one table, stable codes. */
import { CodedError, type CodedErrorOptions } from '../base/error.js';

export const IPAM_ERRORS = {
  /** Explicit assignment of an address that somebody has, or that cools down. */
  ERR_IPAM_ASSIGNED: 'the address is already assigned',
  /** Release of an address that nobody has. */
  ERR_IPAM_NOT_ASSIGNED: 'the address is not assigned',
  /** No enabled pool has the address, or none is left that fits the request. */
  ERR_IPAM_POOL: 'no pool fits',
  /** With strict affinity, addresses come from the host's own blocks only. */
  ERR_IPAM_AFFINITY: 'the block belongs to another host',
  /** Somebody else was faster, a hundred times in a row. */
  ERR_IPAM_BUSY: 'too many concurrent requests',
  /** A precondition (handle, sequence number, emptiness) does not hold; nothing was changed. */
  ERR_IPAM_CONFLICT: 'a precondition does not hold',
  /** What is stored as a block breaks a rule of blocks. */
  ERR_IPAM_BLOCK: 'the stored block is invalid',
  /** The request itself makes no sense. */
  ERR_IPAM_REQUEST: 'the request is invalid',
} as const;

export type IpamErrorCode = keyof typeof IPAM_ERRORS;

export class IpamError extends CodedError<IpamErrorCode> {
  constructor(code: IpamErrorCode, message: string, options: CodedErrorOptions = {}) {
    super(code, message, { retryable: code === 'ERR_IPAM_BUSY', ...options });
  }
}

export function isIpamError(error: unknown, code: IpamErrorCode): error is IpamError {
  return error instanceof IpamError && error.code === code;
}
