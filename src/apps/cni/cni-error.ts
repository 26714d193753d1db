/** What a runtime is told when a call fails (CNI specification, "Error"; spec/cni.md 1). */
import { CodedError, type CodedErrorOptions, errorMessage } from '../../base/error.js';

export const CNI_CODES = {
  /** The environment lacks something or holds nonsense. */
  ERR_CNI_ENVIRONMENT: 4,
  /** Standard input is not JSON. */
  ERR_CNI_DECODE: 6,
  /** The network configuration makes no sense. */
  ERR_CNI_CONFIGURATION: 7,
  /** The specification's version is not spoken here. */
  ERR_CNI_VERSION: 1,
  /** Not now: the datastore or the agent is not ready. */
  ERR_CNI_TRY_LATER: 11,
  /** STATUS: no ADD would succeed. */
  ERR_CNI_UNAVAILABLE: 50,
  /** Something failed on the way. */
  ERR_CNI_FAILED: 100,
  /** CHECK: the container is not as ADD left it. */
  ERR_CNI_CHECK: 101,
} as const;

export type CniErrorCode = keyof typeof CNI_CODES;

export class CniError extends CodedError<CniErrorCode> {
  readonly details: string;

  constructor(
    code: CniErrorCode,
    message: string,
    options: CodedErrorOptions & { readonly details?: string } = {},
  ) {
    super(code, message, options);
    this.details = options.details ?? '';
  }
}

/** The JSON on standard output. */
export function errorDocument(error: unknown, cniVersion: string): string {
  const code = error instanceof CniError ? CNI_CODES[error.code] : CNI_CODES.ERR_CNI_FAILED;
  const details = error instanceof CniError ? error.details : '';
  return `${JSON.stringify({ cniVersion, code, msg: errorMessage(error), details })}\n`;
}
