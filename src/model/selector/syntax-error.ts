import { CodedError } from '../../base/error.js';

/** spec/selectors.md 10; TOO_DEEP is ours (section 9 allows a bound on nesting). */
export type SelectorErrorCode =
  | 'UNTERMINATED_STRING'
  | 'EXPECTED_EQ'
  | 'EXPECTED_AND'
  | 'EXPECTED_OR'
  | 'EXPECTED_OPERATOR'
  | 'EXPECTED_IDENTIFIER'
  | 'LABEL_TOO_LONG'
  | 'EXPECTED_CLOSE_PAREN'
  | 'UNEXPECTED_END'
  | 'EXPECTED_COMPARISON'
  | 'EXPECTED_STRING'
  | 'EXPECTED_SET'
  | 'EXPECTED_RBRACE'
  | 'EXPECTED_RPAREN'
  | 'UNEXPECTED_TOKEN'
  | 'TRAILING_CONTENT'
  | 'TOO_DEEP';

export class SelectorSyntaxError extends CodedError<SelectorErrorCode> {
  /** Offset in bytes of UTF-8, from 0; the length of the text when it ends too early. */
  readonly position: number;

  /** @param index Offset in UTF-16 units of `text`. */
  constructor(code: SelectorErrorCode, text: string, index: number, message: string) {
    const position = Buffer.byteLength(text.slice(0, index));
    super(code, `at offset ${position}: ${message}`);
    this.position = position;
  }
}
