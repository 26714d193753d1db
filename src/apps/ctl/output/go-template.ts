/**
 * The part of Go's text/template that calicoctl's users need (spec/cli.md 6.1): fields, variables, pipelines, range,
 * if, with, comparison, printf, len, index, and calicoctl's join, joinAndTruncate and config. Fields go by their Go
 * names: letter case does not matter, ObjectMeta is metadata, TypeMeta is the object itself.
 */
import { CodedError } from '../../../base/error.js';
import { type Expression, parseTemplate, type TemplateNode } from './go-template-parser.js';

const fail = (message: string): never => {
  throw new CodedError('ERR_OUTPUT_FORMAT', `go-template: ${message}`);
};

type Scope = Map<string, unknown>;

const truthy = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
};

function field(value: unknown, name: string): unknown {
  if (name === 'TypeMeta') return value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (value === undefined || value === null) return undefined;
    return fail(
      `can't evaluate field ${name} in ${Array.isArray(value) ? 'a list' : typeof value}`,
    );
  }
  const fields = value as Readonly<Record<string, unknown>>;
  if (name === 'ObjectMeta' || name === 'ListMeta') return fields['metadata'];
  if (Object.hasOwn(fields, name)) return fields[name];
  const key = Object.keys(fields).find((known) => known.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : fields[key];
}

/** As Go prints a value. */
function shown(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return `[${value.map(shown).join(' ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${shown(item)}`).join(' ')}]`;
  }
  return String(value);
}

/** A list as its parts, a map as sorted k=v pairs. */
function joined(value: unknown, separator: unknown): string {
  const parts = Array.isArray(value)
    ? value.map(shown)
    : Object.entries((value ?? {}) as Readonly<Record<string, unknown>>)
        .map(([key, item]) => `${key}=${shown(item)}`)
        .sort();
  return parts.join(String(separator));
}

function cutTo(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, Math.max(0, max - 3))}...` : text;
}

function printf(format: unknown, ...args: readonly unknown[]): string {
  const left = [...args];
  return String(format).replace(/%([-+0 ]*)(\d*)(?:\.(\d+))?([svdqtx%])/g, (...match) => {
    const [, flags = '', width = '', , verb = ''] = match as string[];
    if (verb === '%') return '%';
    const value = left.shift();
    const text = verb === 'q' ? JSON.stringify(shown(value)) : shown(value);
    const size = Number(width);
    return flags.includes('-')
      ? text.padEnd(size)
      : text.padStart(size, flags.includes('0') ? '0' : ' ');
  });
}

function compare(a: unknown, b: unknown): number {
  const [x, y] = [a as string | number, b as string | number];
  return x < y ? -1 : x > y ? 1 : 0;
}

const FUNCTIONS: Readonly<Record<string, (...args: readonly unknown[]) => unknown>> = {
  len: (value) =>
    typeof value === 'string' || Array.isArray(value)
      ? value.length
      : Object.keys((value ?? {}) as object).length,
  index: (value, ...keys) =>
    keys.reduce(
      (found, key) =>
        (found as Readonly<Record<string | number, unknown>> | undefined)?.[key as string],
      value,
    ),
  eq: (a, ...others) => others.some((b) => a === b),
  ne: (a, b) => a !== b,
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  and: (...args) => args.find((value) => !truthy(value)) ?? args.at(-1),
  or: (...args) => args.find(truthy) ?? args.at(-1),
  not: (value) => !truthy(value),
  print: (...args) => args.map(shown).join(''),
  println: (...args) => `${args.map(shown).join(' ')}\n`,
  printf,
  join: joined,
  joinAndTruncate: (value, separator, max) => cutTo(joined(value, separator), Number(max)),
};

export interface TemplateContext {
  /** What `config "asnumber"` says. */
  readonly asNumber: string;
}

class Interpreter {
  readonly #root: unknown;
  readonly #context: TemplateContext;

  constructor(root: unknown, context: TemplateContext) {
    this.#root = root;
    this.#context = context;
  }

  print(nodes: readonly TemplateNode[], dot: unknown, scope: Scope): string {
    return nodes.map((node) => this.#node(node, dot, scope)).join('');
  }

  #node(node: TemplateNode, dot: unknown, scope: Scope): string {
    switch (node.type) {
      case 'text':
        return node.text;
      case 'action': {
        const value = this.#evaluate(node.expression, dot, scope);
        if (node.assign === undefined) return shown(value);
        scope.set(node.assign, value);
        return '';
      }
      case 'if':
      case 'with': {
        const value = this.#evaluate(node.expression, dot, scope);
        const inner = new Map(scope);
        if (!truthy(value)) return this.print(node.otherwise, dot, inner);
        return this.print(node.body, node.type === 'with' ? value : dot, inner);
      }
      case 'range':
        return this.#range(node, dot, scope);
      default:
        return node satisfies never;
    }
  }

  #range(node: Extract<TemplateNode, { type: 'range' }>, dot: unknown, scope: Scope): string {
    const value = this.#evaluate(node.expression, dot, scope);
    const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(value)
      ? [...value.entries()]
      : Object.entries((value ?? {}) as object).sort(([a], [b]) => (a < b ? -1 : 1));
    if (entries.length === 0) return this.print(node.otherwise, dot, new Map(scope));
    return entries
      .map(([key, item]) => {
        const inner: Scope = new Map(scope);
        const [first, second] = node.variables;
        if (second !== undefined && first !== undefined) inner.set(first, key).set(second, item);
        else if (first !== undefined) inner.set(first, item);
        return this.print(node.body, item, inner);
      })
      .join('');
  }

  #evaluate(expression: Expression, dot: unknown, scope: Scope): unknown {
    switch (expression.type) {
      case 'literal':
        return expression.value;
      case 'dot':
        return dot;
      case 'variable':
        if (expression.name === '$') return this.#root;
        if (!scope.has(expression.name)) return fail(`undefined variable ${expression.name}`);
        return scope.get(expression.name);
      case 'fields':
        return expression.names.reduce(field, this.#evaluate(expression.of, dot, scope));
      case 'call':
        return this.#call(
          expression.name,
          expression.args.map((arg) => this.#evaluate(arg, dot, scope)),
        );
      default:
        return expression satisfies never;
    }
  }

  #call(name: string, args: readonly unknown[]): unknown {
    if (name === 'config') {
      if (String(args[0]).toLowerCase() === 'asnumber') return this.#context.asNumber;
      return fail(`config "${String(args[0])}": only "asnumber" is known`);
    }
    const call = FUNCTIONS[name];
    return call === undefined ? fail(`function "${name}" not defined`) : call(...args);
  }
}

/** @param data always a list: one element for each result. @throws CodedError ERR_OUTPUT_FORMAT */
export function renderGoTemplate(
  template: string,
  data: readonly unknown[],
  context: TemplateContext,
): string {
  return new Interpreter(data, context).print(parseTemplate(template), data, new Map());
}
