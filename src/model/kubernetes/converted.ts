/** What a conversion gives back; it never throws for what a Kubernetes object says. */
import { CodedError } from '../../base/error.js';
import type { Resource } from '../update.js';

export interface Converted {
  /** null: there is nothing to enforce, or the object cannot be converted as a whole. */
  readonly resource: Resource | null;
  /** One line for each part that was left out. */
  readonly warnings: readonly string[];
}

/** A part that has no meaning in our model: whoever converts the whole decides what becomes of it. */
export class ConversionError extends CodedError<'ERR_KUBERNETES_CONVERSION'> {
  constructor(message: string) {
    super('ERR_KUBERNETES_CONVERSION', message);
  }
}
