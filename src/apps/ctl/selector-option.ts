/** --selector: a selector expression over labels, in the language of the policies. */
import { CodedError, errorMessage } from '../../base/error.js';
import { parseSelector } from '../../model/selector/parser.js';

export type LabelSelector = ReturnType<typeof parseSelector>;

/** @throws CodedError ERR_USAGE that says where the expression is wrong. */
export function selectorNamed(text: string): LabelSelector {
  try {
    return parseSelector(text);
  } catch (error) {
    throw new CodedError('ERR_USAGE', `--selector: "${text}": ${errorMessage(error)}`);
  }
}
