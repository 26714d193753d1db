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

/** Returns the same object if nothing had to go. */
export function prune(node: FieldNode, value: unknown, path: Path, options: PruneOptions): unknown {
  switch (node.type) {
    case 'object':
      return isObject(value) ? pruneObject(node.fields, value, path, options) : value;
    case 'list':
      if (!Array.isArray(value) || node.item.type === 'scalar') return value;
      return mapSame(value, (item, i) => prune(node.item, item, [...path, i], options));
    case 'map':
      return isObject(value) ? nullsToEmpty(value) : value;
    case 'scalar':
      return value;
    default:
      return node satisfies never;
  }
}

function pruneObject(
  fields: ReadonlyMap<string, FieldNode>,
  value: Readonly<Record<string, unknown>>,
  path: Path,
  options: PruneOptions,
): unknown {
  let changed = false;
  const kept: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    const before = value[key];
    const field = fields.get(key);
    if (field === undefined) {
      if (options.strict) {
        changed = true;
        options.problems.push(unknownField(key, [...path, key], fields));
      } else kept.push([key, before]);
      continue;
    }
    if (isUnset(before, options)) {
      changed = true;
      continue;
    }
    const after = field === SCALAR ? before : prune(field, before, [...path, key], options);
    if (after !== before) changed = true;
    kept.push([key, after]);
  }
  return changed ? Object.fromEntries(kept) : value;
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

function mapSame(values: readonly unknown[], change: (value: unknown, i: number) => unknown) {
  const after = values.map(change);
  return after.some((value, i) => value !== values[i]) ? after : values;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
