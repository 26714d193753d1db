/** `margay explain KIND[.field...]`: what a field is, from the schema that checks it (spec/cli.md 13.8). */
import { CodedError } from '../../../base/error.js';
import { jsonSchema } from '../../../model/api/json-schema.js';
import { API_VERSION } from '../../../model/api/registry.js';
import { didYouMean } from '../../../model/api/suggest.js';
import type { Session } from '../session.js';
import { kindNamed } from '../targets.js';
import { fieldNotes } from './field-notes.js';

/** The parts of JSON Schema that our schemas use. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
}

function typeOf(schema: Schema): string {
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.join(' or ');
  if (type === 'object' && typeof schema.additionalProperties === 'object')
    return `map of ${typeOf(schema.additionalProperties)}`;
  return type ?? 'anything';
}

/** Behind lists: the fields of `ingress` are those of each rule. */
const inner = (schema: Schema): Schema =>
  schema.items === undefined ? schema : inner(schema.items);

const isBound = (value: number | undefined): value is number =>
  value !== undefined && Math.abs(value) < Number.MAX_SAFE_INTEGER;

function limits(schema: Schema): readonly string[] {
  const element = inner(schema);
  const values = element.enum ?? (element.const === undefined ? undefined : [element.const]);
  return [
    ...(values === undefined ? [] : [`one of ${values.map(String).join(', ')}`]),
    ...(isBound(element.minimum) ? [`at least ${element.minimum}`] : []),
    ...(isBound(element.maximum) ? [`at most ${element.maximum}`] : []),
    ...(isBound(schema.maxItems) ? [`at most ${schema.maxItems} entries`] : []),
    ...(isBound(schema.minItems) ? [`at least ${schema.minItems} entries`] : []),
    ...(isBound(element.maxLength) ? [`at most ${element.maxLength} characters`] : []),
  ];
}

interface Found {
  readonly schema: Schema;
  readonly required: boolean;
}

function find(root: Schema, path: readonly string[], typed: string): Found {
  let found: Found = { schema: root, required: true };
  for (const [i, step] of path.entries()) {
    const fields = inner(found.schema).properties ?? {};
    const next = Object.hasOwn(fields, step) ? fields[step] : undefined;
    if (next === undefined) {
      const where = [typed, ...path.slice(0, i)].join('.');
      const hint = didYouMean(step, Object.keys(fields));
      throw new CodedError('ERR_FIELD', `${where} has no field "${step}"${hint}`);
    }
    found = { schema: next, required: inner(found.schema).required?.includes(step) === true };
  }
  return found;
}

const wrapped = (title: string, text: string): readonly string[] =>
  text === '' ? [] : [`${title.padEnd(13)}${text}`];

function tree(schema: Schema, indent: string): readonly string[] {
  return Object.entries(inner(schema).properties ?? {}).flatMap(([name, child]) => [
    `${indent}${name} <${typeOf(child)}>`,
    ...tree(child, `${indent}  `),
  ]);
}

function childLines(schema: Schema): readonly string[] {
  const { properties = {}, required = [] } = inner(schema);
  const width = Math.max(0, ...Object.keys(properties).map((name) => name.length));
  return Object.entries(properties).map(([name, child]) => {
    const about = [child.description ?? inner(child).description ?? '', ...limits(child)];
    const needed = required.includes(name) ? ', required' : '';
    const text = about.filter((part) => part !== '').join('; ');
    return `  ${name.padEnd(width)}  <${typeOf(child)}${needed}>${text === '' ? '' : `  ${text}`}`;
  });
}

/** @throws CodedError ERR_KIND or ERR_FIELD with the nearest name that exists */
export function explain(
  session: Session,
  word: string,
  { recursive }: { readonly recursive: boolean },
): void {
  const [kindWord = '', ...path] = word.replace(/\[\d*\]/g, '').split('.');
  const info = kindNamed(kindWord);
  const root = (jsonSchema(info.kind) ?? {}) as Schema;
  const { schema, required } = find(root, path, info.kind);
  const notes = fieldNotes(info.kind, path);
  const fields = recursive ? tree(schema, '  ') : childLines(schema);
  const lines = [
    ...wrapped('KIND:', info.kind),
    ...wrapped('VERSION:', API_VERSION),
    ...(path.length === 0 ? [] : wrapped('FIELD:', path.join('.'))),
    ...wrapped('TYPE:', `${typeOf(schema)}${path.length > 0 && required ? ', required' : ''}`),
    ...wrapped('VALUES:', limits(schema).join('; ')),
    ...wrapped('DEFAULT:', schema.default === undefined ? '' : JSON.stringify(schema.default)),
    ...wrapped('DESCRIPTION:', schema.description ?? inner(schema).description ?? ''),
    ...notes.flatMap(({ title, text }) => wrapped(title, text)),
    ...(fields.length === 0 ? [] : ['FIELDS:', ...fields]),
  ];
  session.out(`${lines.join('\n')}\n`);
}
