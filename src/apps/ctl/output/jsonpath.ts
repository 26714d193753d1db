/**
 * kubectl's JSONPath dialect: text with paths in braces, `{range .items[*]}…{end}`, string literals, filters, unions,
 * slices and recursive descent. What is missing prints as nothing.
 */
import { CodedError } from '../../../base/error.js';

type Step =
  | { readonly type: 'field'; readonly name: string }
  | { readonly type: 'all' }
  | { readonly type: 'descend' }
  | { readonly type: 'slice'; readonly from?: number; readonly to?: number; readonly by: number }
  | { readonly type: 'union'; readonly keys: readonly (string | number)[] }
  | { readonly type: 'filter'; readonly filter: Filter };

type Operand = { readonly path: readonly Step[] } | { readonly literal: unknown };

interface Filter {
  readonly left: Operand;
  readonly operator?: string;
  readonly right?: Operand;
}

type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'path'; readonly path: readonly Step[]; readonly fromRoot: boolean }
  | { readonly type: 'range'; readonly path: readonly Step[]; readonly body: readonly Node[] };

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  fail(wanted: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 12);
    throw new CodedError(
      'ERR_OUTPUT_FORMAT',
      `jsonpath: at character ${this.#at + 1}${rest === '' ? ', the end' : ` ("${rest}")`}: expected ${wanted}`,
    );
  }

  take(pattern: RegExp): string | undefined {
    const sticky = new RegExp(pattern.source, 'y');
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match[0];
  }

  want(pattern: RegExp, wanted: string): string {
    return this.take(pattern) ?? this.fail(wanted);
  }

  space(): void {
    this.take(/\s+/);
  }

  literal(): string | undefined {
    const quoted = this.take(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/);
    return quoted
      ?.slice(1, -1)
      .replace(/\\(.)/g, (_all, letter: string) => ESCAPES[letter] ?? letter);
  }
}

/** Nodes up to `{end}` or the end of the text. */
function readNodes(reader: Reader, inRange: boolean): readonly Node[] {
  const nodes: Node[] = [];
  while (!reader.done) {
    const text = reader.take(/(?:\\[{}]|[^{}])+/);
    if (text !== undefined) nodes.push({ type: 'text', text: text.replace(/\\([{}])/g, '$1') });
    if (reader.done) break;
    reader.want(/\{/, '"{"');
    if (readAction(reader, nodes)) {
      if (!inRange) reader.fail('a range before this end');
      return nodes;
    }
  }
  if (inRange) reader.fail('{end}');
  return nodes;
}

/** What is between braces. Returns true for `{end}`. */
function readAction(reader: Reader, nodes: Node[]): boolean {
  reader.space();
  if (reader.take(/end\s*\}/) !== undefined) return true;
  if (reader.take(/range\s+/) !== undefined) {
    const path = readSteps(reader);
    reader.space();
    reader.want(/\}/, '"}"');
    nodes.push({ type: 'range', path, body: readNodes(reader, true) });
    return false;
  }
  while (reader.take(/\}/) === undefined) {
    const text = reader.literal();
    if (text !== undefined) nodes.push({ type: 'text', text });
    else {
      const fromRoot = reader.take(/\$/) !== undefined;
      if (!fromRoot) reader.take(/@/);
      nodes.push({ type: 'path', path: readSteps(reader), fromRoot });
    }
    reader.space();
  }
  return false;
}

function readSteps(reader: Reader): readonly Step[] {
  const steps: Step[] = [];
  for (;;) {
    if (reader.take(/\.\./) !== undefined) {
      steps.push({ type: 'descend' });
      const name = reader.take(/[\w-]+/);
      if (name !== undefined) steps.push({ type: 'field', name });
    } else if (reader.take(/\./) !== undefined) {
      if (reader.take(/\*/) !== undefined) steps.push({ type: 'all' });
      else {
        const name = reader.take(/(?:\\.|[\w-])+/);
        if (name !== undefined) steps.push({ type: 'field', name: name.replace(/\\(.)/g, '$1') });
      }
    } else if (reader.take(/\[/) !== undefined) {
      steps.push(readSubscript(reader));
      reader.space();
      reader.want(/\]/, '"]"');
    } else if (steps.length === 0) {
      const name = reader.want(/[A-Za-z_][\w-]*/, 'a path such as .metadata.name');
      steps.push({ type: 'field', name });
    } else return steps;
  }
}

function readSubscript(reader: Reader): Step {
  reader.space();
  if (reader.take(/\*/) !== undefined) return { type: 'all' };
  if (reader.take(/\?\(/) !== undefined) {
    const filter = readFilter(reader);
    reader.want(/\)/, '")"');
    return { type: 'filter', filter };
  }
  const slice = reader.take(/-?\d*:-?\d*(?::-?\d+)?/);
  if (slice !== undefined) {
    const [from = '', to = '', by = '1'] = slice.split(':');
    return {
      type: 'slice',
      by: Number(by),
      ...(from === '' ? {} : { from: Number(from) }),
      ...(to === '' ? {} : { to: Number(to) }),
    };
  }
  const keys: (string | number)[] = [];
  do {
    reader.space();
    const text = reader.literal();
    keys.push(text ?? Number(reader.want(/-?\d+/, 'a number, a quoted name, * or ?(…)')));
    reader.space();
  } while (reader.take(/,/) !== undefined);
  return { type: 'union', keys };
}

function readFilter(reader: Reader): Filter {
  const left = readOperand(reader);
  reader.space();
  const operator = reader.take(/==|!=|<=|>=|<|>/);
  if (operator === undefined) return { left };
  reader.space();
  const right = readOperand(reader);
  reader.space();
  return { left, operator, right };
}

function readOperand(reader: Reader): Operand {
  reader.space();
  const text = reader.literal();
  if (text !== undefined) return { literal: text };
  const number = reader.take(/-?\d+(?:\.\d+)?/);
  if (number !== undefined) return { literal: Number(number) };
  const word = reader.take(/(?:true|false|null)\b/);
  if (word !== undefined) return { literal: JSON.parse(word) };
  reader.want(/@/, 'a literal or a path that starts with @');
  return { path: readSteps(reader) };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const children = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];

const descendants = (value: unknown): readonly unknown[] => [
  value,
  ...children(value).flatMap(descendants),
];

function member(value: unknown, key: string | number): readonly unknown[] {
  if (typeof key === 'number')
    return Array.isArray(value) && value.at(key) !== undefined ? [value.at(key)] : [];
  return isObject(value) && Object.hasOwn(value, key) && value[key] !== undefined
    ? [value[key]]
    : [];
}

function walk(values: readonly unknown[], step: Step): readonly unknown[] {
  switch (step.type) {
    case 'field':
      return values.flatMap((value) => member(value, step.name));
    case 'all':
      return values.flatMap(children);
    case 'descend':
      return values.flatMap(descendants);
    case 'union':
      return values.flatMap((value) => step.keys.flatMap((key) => member(value, key)));
    case 'slice':
      return values.flatMap((value) =>
        Array.isArray(value)
          ? value.slice(step.from, step.to).filter((_item, i) => i % Math.max(1, step.by) === 0)
          : [],
      );
    case 'filter':
      return values.flatMap(children).filter((value) => passes(value, step.filter));
    default:
      return step satisfies never;
  }
}

const select = (value: unknown, path: readonly Step[]): readonly unknown[] =>
  path.reduce<readonly unknown[]>(walk, [value]);

const operandValue = (value: unknown, operand: Operand): unknown =>
  'literal' in operand ? operand.literal : select(value, operand.path)[0];

function passes(value: unknown, { left, operator, right }: Filter): boolean {
  const a = operandValue(value, left);
  if (operator === undefined || right === undefined) return a !== undefined;
  const b = operandValue(value, right);
  if (operator === '==') return a === b;
  if (operator === '!=') return a !== b;
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string')) return false;
  const other = b as typeof a;
  if (operator === '<') return a < other;
  if (operator === '<=') return a <= other;
  return operator === '>' ? a > other : a >= other;
}

const shown = (value: unknown): string =>
  typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);

function print(nodes: readonly Node[], current: unknown, root: unknown): string {
  return nodes
    .map((node) => {
      if (node.type === 'text') return node.text;
      if (node.type === 'path')
        return select(node.fromRoot ? root : current, node.path)
          .map(shown)
          .join(' ');
      return select(current, node.path)
        .map((item) => print(node.body, item, root))
        .join('');
    })
    .join('');
}

export class JsonPath {
  readonly #nodes: readonly Node[];

  /** @throws CodedError ERR_OUTPUT_FORMAT that says where the template is wrong and what was expected. */
  constructor(template: string) {
    this.#nodes = readNodes(new Reader(template), false);
  }

  /** A bare path as well as a template: '.metadata.name', 'metadata.name' and '{.metadata.name}' are the same. */
  static path(text: string): JsonPath {
    if (text.startsWith('{')) return new JsonPath(text);
    return new JsonPath(`{${/^[.[$@]/.test(text) ? '' : '.'}${text}}`);
  }

  /** The text that the template makes of a value. */
  print(value: unknown): string {
    return print(this.#nodes, value, value);
  }

  /** The values of all paths outside ranges. */
  values(value: unknown): readonly unknown[] {
    return this.#nodes.flatMap((node) => (node.type === 'path' ? select(value, node.path) : []));
  }
}
