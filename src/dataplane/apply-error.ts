import { CodedError } from '../base/error.js';

/** What could not be programmed, one line each; the rest was. It stays dirty and is tried again. */
export class ApplyError extends CodedError<'ERR_APPLY'> {
  readonly failures: readonly string[];

  constructor(failures: readonly string[]) {
    super('ERR_APPLY', failures.join('\n'), { retryable: true });
    this.failures = failures;
  }
}
