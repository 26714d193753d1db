/** Reads Go templates into a tree: see go-template.ts for what of the language there is. */
import { CodedError } from '../../../base/error.js';

export type Expression =
  | { readonly type: 'literal'; readonly value: unknown }
  | { readonly type: 'dot' }
  | { readonly type: 'variable'; readonly name: string }
  | { readonly type: 'fields'; readonly of: Expression; readonly names: readonly string[] }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[] };

interface Block {
  readonly expression: Expression;
  readonly body: readonly TemplateNode[];
  readonly otherwise: readonly TemplateNode[];
}

export type TemplateNode =
  | { readonly type: 'text'; readonly text: string }
  /** With `assign`, a variable gets the value and nothing is printed. */
  | { readonly type: 'action'; readonly expression: Expression; readonly assign?: string }
  | ({ readonly type: 'if' | 'with' } & Block)
  | ({ readonly type: 'range'; readonly variables: readonly string[] } & Block);

const fail = (message: string): never => {
  throw new CodedError('ERR_OUTPUT_FORMAT', `go-template: ${message}`);
};

type Part = { readonly text: string } | { readonly action: string };

/** Text and what is between {{ and }}; `-` next to a delimiter takes the white space beside it away. */
function split(template: string): readonly Part[] {
  const parts: Part[] = [];
  let rest = template;
  let trimNext = false;
  for (;;) {
    const start = rest.indexOf('{{');
    const text = start < 0 ? rest : rest.slice(0, start);
    const opened = start < 0 ? '' : rest.slice(start + 2);
    const trimThis = /^-\s/.test(opened);
    const left = trimNext ? text.trimStart() : text;
    parts.push({ text: trimThis ? left.trimEnd() : left });
    if (start < 0) return parts;
    const end = /^((?:[^"`}]|"(?:[^"\\]|\\.)*"|`[^`]*`|\}(?!\}))*)\}\}/s.exec(opened);
    if (end === null) return fail('a "{{" is not closed by "}}"');
    const [whole, inside = ''] = end;
    trimNext = /\s-$/.test(inside);
    const action = inside
      .replace(/^-(?=\s)/, '')
      .replace(/\s-$/, '')
      .trim();
    if (!/^\/\*.*\*\/$/s.test(action)) parts.push({ action });
    rest = opened.slice(whole.length);
  }
}

const TOKEN =
  /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|-?\d+(?:\.\d+)?|\$\w*|\.\w+|[A-Za-z_]\w*|:=|[.()|,=])/y;

function tokenize(action: string): string[] {
  const tokens: string[] = [];
  const pattern = new RegExp(TOKEN.source, 'y');
  while (action.slice(pattern.lastIndex).trim() !== '') {
    const at = pattern.lastIndex;
    const match = pattern.exec(action);
    if (match === null) return fail(`unexpected "${action.slice(at).trim()}" in "${action}"`);
    // A field right behind what it is a field of is marked, so that `.A .B` stays two arguments.
    const [whole, token = ''] = match;
    const glued = whole === token && /^\.\w/.test(token) && at > 0;
    tokens.push(glued ? `.${token}` : token);
  }
  return tokens;
}

class ExpressionReader {
  readonly #tokens: string[];
  readonly #action: string;

  constructor(tokens: string[], action: string) {
    this.#tokens = tokens;
    this.#action = action;
  }

  /** A whole pipeline: nothing may be left behind it. */
  all(): Expression {
    const expression = this.#pipeline();
    if (this.#tokens.length > 0) fail(`unexpected "${this.#tokens[0]}" in "${this.#action}"`);
    return expression;
  }

  #pipeline(): Expression {
    let value = this.#command(undefined);
    while (this.#tokens[0] === '|') {
      this.#tokens.shift();
      value = this.#command(value);
    }
    return value;
  }

  /** A function with arguments, or one operand. What is piped in becomes the last argument. */
  #command(piped: Expression | undefined): Expression {
    const [first = ''] = this.#tokens;
    const extra = piped === undefined ? [] : [piped];
    if (/^[A-Za-z_]/.test(first) && !/^(true|false|nil)$/.test(first)) {
      this.#tokens.shift();
      const args: Expression[] = [];
      while (this.#tokens.length > 0 && !['|', ')'].includes(this.#tokens[0] ?? ''))
        args.push(this.#operand());
      return { type: 'call', name: first, args: [...args, ...extra] };
    }
    if (piped !== undefined) return fail(`"${first}" is not a function in "${this.#action}"`);
    return this.#operand();
  }

  #operand(): Expression {
    let value = this.#primary();
    const names: string[] = [];
    while (this.#tokens[0]?.startsWith('..')) names.push((this.#tokens.shift() ?? '').slice(2));
    if (names.length > 0) value = { type: 'fields', of: value, names };
    return value;
  }

  #primary(): Expression {
    const token = this.#tokens.shift();
    if (token === undefined) return fail(`something is missing in "${this.#action}"`);
    if (token === '(') {
      const value = this.#pipeline();
      if (this.#tokens.shift() !== ')') return fail(`")" is missing in "${this.#action}"`);
      return value;
    }
    if (token === '.') return { type: 'dot' };
    if (token.startsWith('.'))
      return { type: 'fields', of: { type: 'dot' }, names: [token.replace(/^\.+/, '')] };
    if (token.startsWith('$')) return { type: 'variable', name: token };
    if (token.startsWith('"')) return { type: 'literal', value: JSON.parse(token) };
    if (token.startsWith('`')) return { type: 'literal', value: token.slice(1, -1) };
    if (/^-?\d/.test(token)) return { type: 'literal', value: Number(token) };
    if (token === 'true' || token === 'false') return { type: 'literal', value: token === 'true' };
    if (token === 'nil') return { type: 'literal', value: undefined };
    if (/^[A-Za-z_]/.test(token)) return { type: 'call', name: token, args: [] };
    return fail(`unexpected "${token}" in "${this.#action}"`);
  }
}

const BLOCK = /^(if|with|range)\b(.*)$/s;
const VARIABLES = /^\s*(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=(.*)$/s;

class TemplateReader {
  readonly #parts: Part[];

  constructor(parts: readonly Part[]) {
    this.#parts = [...parts];
  }

  all(): readonly TemplateNode[] {
    const { nodes, end } = this.#until();
    if (end !== undefined) fail(`{{${end}}} without a block`);
    return nodes;
  }

  /** Nodes up to else, end, or the end of the template. */
  #until(): { readonly nodes: readonly TemplateNode[]; readonly end: string | undefined } {
    const nodes: TemplateNode[] = [];
    for (let part = this.#parts.shift(); part !== undefined; part = this.#parts.shift()) {
      if ('text' in part) nodes.push({ type: 'text', text: part.text });
      else if (/^(end|else)\b/.test(part.action)) return { nodes, end: part.action };
      else nodes.push(this.#action(part.action));
    }
    return { nodes, end: undefined };
  }

  #action(action: string): TemplateNode {
    const block = BLOCK.exec(action);
    if (block !== null) return this.#block(block[1] as 'if', block[2] ?? '');
    const assigned = /^(\$\w+)\s*:?=(.*)$/s.exec(action);
    if (assigned === null) return { type: 'action', expression: expressionOf(action) };
    const [, assign = '', value = ''] = assigned;
    return { type: 'action', expression: expressionOf(value), assign };
  }

  #block(type: 'if' | 'with' | 'range', head: string): TemplateNode {
    const named = type === 'range' ? VARIABLES.exec(head) : null;
    const expression = expressionOf(named?.[3] ?? head);
    const { nodes: body, end } = this.#until();
    const otherwise = this.#otherwise(type, end);
    if (type !== 'range') return { type, expression, body, otherwise };
    const variables = [named?.[1], named?.[2]].filter((name) => name !== undefined);
    return { type, variables, expression, body, otherwise };
  }

  #otherwise(type: string, end: string | undefined): readonly TemplateNode[] {
    if (end === undefined) return fail(`{{${type}}} is not closed by {{end}}`);
    if (end === 'end') return [];
    const chained = /^else\s+(if|with)\b(.*)$/s.exec(end);
    if (chained !== null) return [this.#block(chained[1] as 'if', chained[2] ?? '')];
    const { nodes, end: last } = this.#until();
    return last === 'end' ? nodes : fail(`{{${type}}} is not closed by {{end}}`);
  }
}

const expressionOf = (text: string): Expression =>
  new ExpressionReader(tokenize(text), text.trim()).all();

/** @throws CodedError ERR_OUTPUT_FORMAT */
export function parseTemplate(template: string): readonly TemplateNode[] {
  return new TemplateReader(split(template)).all();
}
