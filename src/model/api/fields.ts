/**
 * The tree of field names a schema knows, and the one pass over an object that uses it: unknown fields are
 * found, and known fields that are null or empty are left out, because absent, null and empty mean the same
 * (spec/resources.md 0).
 */
import type * as z from 'zod';
import type { Path, Problem } from './problem.js';
import { didYouMean } from './suggest.js';

export type FieldNode =
  | { readonly type: 'object'; readonly fields: ReadonlyMap<string, FieldNode> }
  | { readonly type: 'list'; readonly item: FieldNode }
  /** Free keys, text values. */
  | { readonly type: 'map' }
  | { readonly type: 'scalar' };

const SCALAR: FieldNode = { type: 'scalar' };
const MAP: FieldNode = { type: 'map' };

/** The field names of a schema, as a tree. */
export function fieldsOf(schema: z.core.$ZodType): FieldNode {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object': {
      const entries = Object.entries(def.shape);
      return { type: 'object', fields: new Map(entries.map(([k, v]) => [k, fieldsOf(v)])) };
    }
    case 'array':
      return { type: 'list', item: fieldsOf(def.element) };
    case 'record':
      return MAP;
    case 'optional':
    case 'default':
    case 'prefault':
    case 'nullable':
      return fieldsOf(def.innerType);
    case 'pipe':
      return fieldsOf(def.in);
    default:
      return SCALAR;
  }
}

export interface PruneOptions {
  /** Report unknown fields and leave them out; otherwise they are kept as they are. */
  readonly strict: boolean;
  /** Lists that may be empty on purpose stay (FelixConfiguration: no failsafe ports at all). */
  readonly keepEmptyLists: boolean;
  readonly problems: Problem[];
}

/** Returns the same object if nothing had to go. `path` says where `value` is; it is left as it was. */
export function prune(
  node: FieldNode,
  value: unknown,
  path: (string | number)[],
  options: PruneOptions,
): unknown {
  switch (node.type) {
    case 'object':
      return isObject(value) ? pruneObject(node.fields, value, path, options) : value;
    case 'list':
      return Array.isArray(value) ? pruneList(node.item, value, path, options) : value;
    case 'map':
      return isObject(value) ? nullsToEmpty(value) : value;
    case 'scalar':
      return value;
    default:
      return node satisfies never;
  }
}

/** Nearly every object stays as it is, so nothing is copied until something has to go. */
function pruneObject(
  fields: ReadonlyMap<string, FieldNode>,
  value: Readonly<Record<string, unknown>>,
  path: (string | number)[],
  options: PruneOptions,
): unknown {
  let changes: Map<string, unknown> | undefined;
  for (const key of Object.keys(value)) {
    const before = value[key];
    const field = fields.get(key);
    let after = before;
    if (field === undefined) {
      if (!options.strict) continue;
      options.problems.push(unknownField(key, [...path, key], fields));
      after = undefined;
    } else if (isUnset(before, options)) after = undefined;
    else if (field !== SCALAR) {
      path.push(key);
      after = prune(field, before, path, options);
      path.pop();
    }
    if (after === before && after !== undefined) continue;
    changes ??= new Map();
    changes.set(key, after);
  }
  return changes === undefined ? value : withChanges(value, changes);
}

/** undefined takes the field away. Own properties are made, whatever their name. */
function withChanges(
  value: Readonly<Record<string, unknown>>,
  changes: ReadonlyMap<string, unknown>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, before]): [string, unknown] => [
        key,
        changes.has(key) ? changes.get(key) : before,
      ])
      .filter(([, after]) => after !== undefined),
  );
}

function pruneList(
  item: FieldNode,
  values: readonly unknown[],
  path: (string | number)[],
  options: PruneOptions,
): readonly unknown[] {
  if (item === SCALAR) return values;
  let copy: unknown[] | undefined;
  for (let i = 0; i < values.length; i++) {
    path.push(i);
    const after = prune(item, values[i], path, options);
    path.pop();
    if (after === values[i]) continue;
    copy ??= [...values];
    copy[i] = after;
  }
  return copy ?? values;
}

const isUnset = (value: unknown, { keepEmptyLists }: PruneOptions): boolean =>
  value === null ||
  value === undefined ||
  value === '' ||
  (!keepEmptyLists && Array.isArray(value) && value.length === 0);

/** Names that the v3.2 documentation prints, although the resource never had them. */
const UNIT_SUFFIX = /(Secs|Millis)$/;

function unknownField(key: string, path: Path, fields: ReadonlyMap<string, FieldNode>): Problem {
  const plain = key.replace(UNIT_SUFFIX, '');
  const hint =
    plain !== key && fields.has(plain)
      ? ` (did you mean "${plain}"? Its value is a duration such as "90s")`
      : didYouMean(key, fields.keys());
  return { path, value: undefined, reason: `field "${key}" is not recognised${hint}` };
}

function nullsToEmpty(value: Readonly<Record<string, unknown>>): unknown {
  const entries = Object.entries(value);
  if (!entries.some(([, text]) => text === null)) return value;
  return Object.fromEntries(entries.map(([key, text]) => [key, text ?? '']));
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
