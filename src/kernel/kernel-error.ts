import { CodedError, type CodedErrorOptions } from '../base/error.js';

/** Every code this folder throws, and what it means. */
export const KERNEL_ERRORS = {
  ERR_KERNEL_ADDON: 'the native addon is missing or does not fit this Node.js',
  ERR_KERNEL_COMMAND: 'a program failed, could not be started, or took too long',
  ERR_KERNEL_NETLINK: 'the kernel refused a netlink request',
  ERR_KERNEL_NETLINK_FORMAT: 'a netlink message is shorter than it says',
  ERR_KERNEL_NETLINK_LOST: 'answers were lost: the socket overran, was closed, or timed out',
  ERR_KERNEL_SYSCTL: 'a kernel setting could not be read or written',
} as const;

export type KernelErrorCode = keyof typeof KERNEL_ERRORS;

export class KernelError extends CodedError<KernelErrorCode> {}

export interface NetlinkErrorOptions extends CodedErrorOptions {
  /** Positive error number, as in errno.h. */
  readonly errno: number;
}

/** The kernel's answer to a request, with its own words (NETLINK_EXT_ACK) if it had any. */
export class NetlinkError extends KernelError {
  readonly errno: number;

  constructor(message: string, options: NetlinkErrorOptions) {
    super('ERR_KERNEL_NETLINK', message, options);
    this.errno = options.errno;
  }
}

/** Error numbers that callers tell apart. */
export const ERRNO = {
  ENOENT: 2,
  ESRCH: 3,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EOPNOTSUPP: 95,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
} as const;

/** Whether the kernel answered with one of these error numbers. */
export function isNetlinkErrno(error: unknown, ...numbers: readonly number[]): boolean {
  return error instanceof NetlinkError && numbers.includes(error.errno);
}
