/** Tokens to tree (spec/selectors.md 4), and the selector as the rest of Margay uses it. */
import { GenerationCache } from '../../base/collections/generation-cache.js';
import type { CompareOp, SelectorNode, SetOp } from './ast.js';
import { canonicalText, compareBytes, uidOf } from './canonical.js';
import { compileNode, type LabelLookup, type Predicate } from './evaluate.js';
import { type SelectorErrorCode, SelectorSyntaxError } from './syntax-error.js';
import { type Token, tokenize } from './tokenizer.js';

export { SelectorSyntaxError } from './syntax-error.js';

/** More than anybody writes by hand; keeps recursion far from the stack's end. */
const DEPTH_MAX = 1000;

/** Characters of the user's text in a message. */
const SHOWN_MAX = 40;

const SPELLINGS: Readonly<Record<string, string>> = { has: 'has(', all: 'all(', global: 'global(' };

/** Quoted, on one line, and short whatever the user wrote. */
function shortened(text: string): string {
  return JSON.stringify(text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text);
}

function describe(token: Token): string {
  if (token.type === 'end') return 'the end of the selector';
  if (token.type === 'literal') return `string ${shortened(token.value)}`;
  if (token.type === 'label') return shortened(token.label);
  if (token.type === 'operator') return `"${token.op}"`;
  return `"${SPELLINGS[token.type] ?? token.type}"`;
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  parse(): SelectorNode {
    if (this.#peek().type === 'end') return { type: 'all' };
    const node = this.#chain('or');
    const rest = this.#peek();
    if (rest.type !== 'end')
      this.#fail(
        'TRAILING_CONTENT',
        rest,
        `unexpected ${describe(rest)} after the end of the selector`,
      );
    return node;
  }

  #peek(): Token {
    return this.#tokens[this.#index] ?? { type: 'end', at: this.#text.length };
  }

  #take(): Token {
    const token = this.#peek();
    this.#index++;
    return token;
  }

  #fail(code: SelectorErrorCode, token: Token, message: string): never {
    throw new SelectorSyntaxError(code, this.#text, token.at, message);
  }

  /** One operand is not wrapped. */
  #chain(type: 'and' | 'or'): SelectorNode {
    const separator = type === 'and' ? '&&' : '||';
    const operands: SelectorNode[] = [];
    do {
      operands.push(type === 'or' ? this.#chain('and') : this.#unary());
    } while (this.#peek().type === separator && this.#take());
    const [only] = operands;
    return operands.length === 1 && only ? only : { type, operands };
  }

  #unary(): SelectorNode {
    let isNegated = false;
    while (this.#peek().type === '!') {
      this.#take();
      isNegated = !isNegated;
    }
    const operand = this.#primary();
    return isNegated ? { type: 'not', operand } : operand;
  }

  #primary(): SelectorNode {
    const token = this.#take();
    switch (token.type) {
      case 'has':
        return { type: 'has', label: token.label };
      case 'all':
      case 'global':
        return { type: token.type };
      case 'label':
        return this.#comparison(token.label);
      case '(':
        return this.#group(token);
      default:
        return this.#fail('UNEXPECTED_TOKEN', token, `unexpected ${describe(token)}`);
    }
  }

  #group(open: Token): SelectorNode {
    if (++this.#depth > DEPTH_MAX)
      this.#fail('TOO_DEEP', open, `more than ${DEPTH_MAX} parentheses inside one another`);
    const node = this.#chain('or');
    const close = this.#take();
    if (close.type !== ')')
      this.#fail('EXPECTED_RPAREN', close, `expected ")", found ${describe(close)}`);
    this.#depth--;
    return node;
  }

  #comparison(label: string): SelectorNode {
    const token = this.#take();
    if (token.type === 'end') {
      return this.#fail(
        'UNEXPECTED_END',
        token,
        `the selector ends after label ${shortened(label)}, expected a comparison`,
      );
    }
    if (token.type !== 'operator') {
      return this.#fail(
        'EXPECTED_COMPARISON',
        token,
        `expected a comparison after label ${shortened(label)}, found ${describe(token)}`,
      );
    }
    if (token.op === 'in' || token.op === 'not in') return this.#set(label, token.op);
    return this.#compare(label, token.op);
  }

  #compare(label: string, op: CompareOp): SelectorNode {
    const literal = this.#take();
    if (literal.type === 'literal') return { type: 'compare', label, op, value: literal.value };
    return this.#fail(
      'EXPECTED_STRING',
      literal,
      `expected a quoted string after "${op}", found ${describe(literal)}`,
    );
  }

  #set(label: string, op: SetOp): SelectorNode {
    const open = this.#take();
    if (open.type !== '{')
      this.#fail('EXPECTED_SET', open, `expected "{" after "${op}", found ${describe(open)}`);
    const values = new Set<string>();
    let token = this.#take();
    while (token.type === 'literal') {
      values.add(token.value);
      token = this.#take();
      if (token.type !== ',') break;
      token = this.#take();
    }
    if (token.type !== '}')
      this.#fail('EXPECTED_RBRACE', token, `expected "}", found ${describe(token)}`);
    return { type: 'set', label, op, values: [...values].sort(compareBytes) };
  }
}

/** Two selectors with the same uid are interchangeable. */
export class Selector {
  readonly ast: SelectorNode;
  #text: string | undefined;
  #uid: string | undefined;
  #predicate: Predicate | undefined;

  constructor(ast: SelectorNode) {
    this.ast = ast;
  }

  /** Canonical (spec/selectors.md 6.1). */
  get text(): string {
    this.#text ??= canonicalText(this.ast);
    return this.#text;
  }

  /** 's:' and 38 characters (6.2). */
  get uid(): string {
    this.#uid ??= uidOf(this.text);
    return this.#uid;
  }

  /** @param labels A lookup, or a plain record whose own properties count. */
  evaluate(labels: LabelLookup | Readonly<Record<string, string>>): boolean {
    const lookup: LabelLookup =
      typeof labels === 'function'
        ? labels
        : (name) => (Object.hasOwn(labels, name) ? labels[name] : undefined);
    this.#predicate ??= compileNode(this.ast);
    return this.#predicate(lookup);
  }

  toString(): string {
    return this.text;
  }
}

const CACHE_ENTRIES_MAX = 20_000;
/** Longer text is parsed anew each time, so that the cache holds tens of megabytes at the very most. */
const CACHED_LENGTH_MAX = 1024;
const cache = new GenerationCache<string, Selector>(CACHE_ENTRIES_MAX);

/** Empty text is all(). Results are shared. @throws SelectorSyntaxError with `.position` */
export function parseSelector(text: string): Selector {
  const cached = cache.get(text);
  if (cached) return cached;
  const selector = new Selector(new Parser(text).parse());
  if (text.length <= CACHED_LENGTH_MAX) cache.set(text, selector);
  return selector;
}

/** null when the text is a selector, else what is wrong with it. */
export function validateSelector(text: string): SelectorSyntaxError | null {
  try {
    parseSelector(text);
    return null;
  } catch (error) {
    if (error instanceof SelectorSyntaxError) return error;
    throw error;
  }
}

/** spec/selectors.md 6.3: for comparing and grouping, never for accepting input. */
export function normaliseSelector(text: string): string {
  const stripped = text.trim();
  return validateSelector(stripped) === null ? parseSelector(stripped).text : stripped;
}
