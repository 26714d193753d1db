/** Text to tokens (spec/selectors.md 2-3). The whole text is split before parsing starts. */
import type { CompareOp, SetOp } from './ast.js';
import { type SelectorErrorCode, SelectorSyntaxError } from './syntax-error.js';

export type Token =
  | { readonly type: 'literal'; readonly value: string; readonly at: number }
  | { readonly type: 'label' | 'has'; readonly label: string; readonly at: number }
  | { readonly type: 'operator'; readonly op: CompareOp | SetOp; readonly at: number }
  | {
      readonly type: '!' | '&&' | '||' | '(' | ')' | '{' | '}' | ',' | 'all' | 'global' | 'end';
      readonly at: number;
    };

/** By character code; codes from 128 on are outside. */
const IS_LABEL_CODE = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9_./-]/.test(String.fromCharCode(code)) ? 1 : 0,
);
const LABEL_MAX = 512;
const SPACE = 0x20;
const TAB = 0x09;
/** What may follow a label other than a word operator. */
const PUNCTUATION = '()"\'{},=!&|';

interface WordOperator {
  readonly op: CompareOp | SetOp;
  readonly words: readonly string[];
}

/** In the order in which they are tried. */
const WORD_OPERATORS: readonly WordOperator[] = [
  { op: 'contains', words: ['contains'] },
  { op: 'starts with', words: ['starts', 'with'] },
  { op: 'ends with', words: ['ends', 'with'] },
  { op: 'not in', words: ['not', 'in'] },
  { op: 'in', words: ['in'] },
];

class Tokenizer {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): readonly Token[] {
    for (;;) {
      this.#at = this.#afterBlanks(this.#at);
      const afterLabel = this.#tokens.at(-1)?.type === 'label';
      if (this.#at >= this.#text.length) {
        this.#tokens.push({ type: 'end', at: this.#at });
        return this.#tokens;
      }
      this.#tokens.push(this.#next(afterLabel));
    }
  }

  #fail(code: SelectorErrorCode, message: string, at = this.#at): never {
    throw new SelectorSyntaxError(code, this.#text, at, message);
  }

  #afterBlanks(from: number): number {
    let at = from;
    for (;;) {
      const code = this.#text.charCodeAt(at);
      if (code !== SPACE && code !== TAB) return at;
      at++;
    }
  }

  #next(afterLabel: boolean): Token {
    const character = this.#text[this.#at] ?? '';
    if (PUNCTUATION.includes(character)) return this.#punctuation(character);
    return afterLabel ? this.#wordOperator() : this.#word();
  }

  #punctuation(character: string): Token {
    const at = this.#at;
    const doubled = this.#text[at + 1] === character;
    switch (character) {
      case '"':
      case "'":
        return this.#literal(character);
      case '(':
      case ')':
      case '{':
      case '}':
      case ',':
        this.#at++;
        return { type: character, at };
      case '=':
        if (!doubled) this.#fail('EXPECTED_EQ', 'expected "=="');
        this.#at += 2;
        return { type: 'operator', op: '==', at };
      case '!':
        if (this.#text[at + 1] === '=') {
          this.#at += 2;
          return { type: 'operator', op: '!=', at };
        }
        this.#at++;
        return { type: '!', at };
      case '&':
        if (!doubled) this.#fail('EXPECTED_AND', 'expected "&&"');
        this.#at += 2;
        return { type: '&&', at };
      default:
        if (!doubled) this.#fail('EXPECTED_OR', 'expected "||"');
        this.#at += 2;
        return { type: '||', at };
    }
  }

  #literal(quote: string): Token {
    const at = this.#at;
    const end = this.#text.indexOf(quote, at + 1);
    if (end < 0)
      this.#fail('UNTERMINATED_STRING', `the string that starts with ${quote} does not end`);
    this.#at = end + 1;
    return { type: 'literal', value: this.#text.slice(at + 1, end), at };
  }

  /** The offset behind the words, or -1. Words of one operator may be apart by blanks or not at all. */
  #matchWords(words: readonly string[]): number {
    let at = this.#at;
    for (const word of words) {
      if (!this.#text.startsWith(word, at)) return -1;
      at += word.length;
      if (words.length > 1) at = this.#afterBlanks(at);
    }
    return this.#isLabelCode(at) ? -1 : at;
  }

  #wordOperator(): Token {
    for (const { op, words } of WORD_OPERATORS) {
      const end = this.#matchWords(words);
      if (end >= 0) {
        const token: Token = { type: 'operator', op, at: this.#at };
        this.#at = end;
        return token;
      }
    }
    const previous = this.#tokens.at(-1);
    const label = previous?.type === 'label' ? previous.label : '';
    return this.#fail(
      'EXPECTED_OPERATOR',
      `expected an operator after label "${label}" (==, !=, in, not in, contains, starts with, ends with)`,
    );
  }

  #word(): Token {
    const at = this.#at;
    if (this.#text.startsWith('has(', at)) {
      this.#at = this.#afterBlanks(at + 4);
      const label = this.#label();
      this.#closeParen('has(');
      return { type: 'has', label, at };
    }
    for (const type of ['all', 'global'] as const) {
      if (this.#text.startsWith(`${type}(`, at)) {
        this.#at = at + type.length + 1;
        this.#closeParen(`${type}(`);
        return { type, at };
      }
    }
    return { type: 'label', label: this.#label(), at };
  }

  #label(): string {
    const start = this.#at;
    let end = start;
    while (this.#isLabelCode(end)) end++;
    if (end === start) return this.#fail('EXPECTED_IDENTIFIER', 'expected a label name');
    if (end - start > LABEL_MAX)
      this.#fail('LABEL_TOO_LONG', `a label name has at most ${LABEL_MAX} bytes`);
    this.#at = end;
    return this.#text.slice(start, end);
  }

  #isLabelCode(at: number): boolean {
    return IS_LABEL_CODE[this.#text.charCodeAt(at)] === 1;
  }

  #closeParen(opened: string): void {
    this.#at = this.#afterBlanks(this.#at);
    if (this.#text[this.#at] !== ')')
      this.#fail('EXPECTED_CLOSE_PAREN', `expected ")" to close "${opened}"`);
    this.#at++;
  }
}

/** The last token is of type 'end'. @throws SelectorSyntaxError */
export function tokenize(text: string): readonly Token[] {
  return new Tokenizer(text).run();
}
