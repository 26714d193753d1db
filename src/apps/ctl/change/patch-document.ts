/** The two ways to describe a change: RFC 7396 merge patches and RFC 6902 operations. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '../../../base/error.js';

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7396: null removes, objects merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const result = new Map(Object.entries(isFields(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, mergePatch(result.get(key), value));
  }
  return Object.fromEntries(result);
}

const fail = (index: number, message: string): never => {
  throw new CodedError('ERR_PATCH', `patch operation ${index + 1}: ${message}`);
};

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

function pointer(text: string, index: number): readonly string[] {
  if (text === '') return [];
  if (!text.startsWith('/'))
    return fail(index, `"${text}" is not a JSON pointer: it must start with /`);
  return text
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Where in a list: 0 to its length, '-' being the end. */
function position(list: readonly unknown[], key: string, { index, last }: Place): number {
  const at = key === '-' ? list.length : /^(0|[1-9]\d*)$/.test(key) ? Number(key) : Number.NaN;
  if (at <= last) return at;
  return fail(index, `"${key}" is not a position in a list of ${list.length}`);
}

interface Place {
  readonly index: number;
  /** Greatest position that makes sense. */
  readonly last: number;
}

function read(document: unknown, path: readonly string[], index: number): unknown {
  return path.reduce<unknown>((value, key) => {
    if (Array.isArray(value)) return value[position(value, key, { index, last: value.length - 1 })];
    if (isFields(value) && Object.hasOwn(value, key)) return value[key];
    return fail(index, `there is nothing at /${path.join('/')}`);
  }, document);
}

type Edit = (container: unknown, key: string) => unknown;

/** A copy in which the container at the end of the path is edited. */
function edit(
  document: unknown,
  path: readonly string[],
  use: { edit: Edit; index: number },
): unknown {
  const [key = '', ...rest] = path;
  if (rest.length === 0) return use.edit(document, key);
  const child = edit(read(document, [key], use.index), rest, use);
  if (!Array.isArray(document)) return { ...(document as Fields), [key]: child };
  return document.with(Number(key), child);
}

const added =
  (value: unknown, index: number): Edit =>
  (container, key) => {
    if (Array.isArray(container))
      return container.toSpliced(
        position(container, key, { index, last: container.length }),
        0,
        value,
      );
    if (isFields(container)) return { ...container, [key]: value };
    return fail(index, `"${key}" cannot be added to a single value`);
  };

const removed =
  (index: number): Edit =>
  (container, key) => {
    if (Array.isArray(container))
      return container.toSpliced(
        position(container, key, { index, last: container.length - 1 }),
        1,
      );
    if (isFields(container) && Object.hasOwn(container, key)) {
      const { [key]: _, ...rest } = container;
      return rest;
    }
    return fail(index, `there is no "${key}" to remove`);
  };

const add = (document: unknown, path: readonly string[], value: unknown, index: number): unknown =>
  path.length === 0 ? value : edit(document, path, { edit: added(value, index), index });
const remove = (document: unknown, path: readonly string[], index: number): unknown =>
  path.length === 0
    ? fail(index, 'the whole object cannot be removed')
    : edit(document, path, { edit: removed(index), index });

function applyOne(document: unknown, operation: Operation, index: number): unknown {
  const path = pointer(operation.path, index);
  const from = (): readonly string[] =>
    pointer(operation.from ?? fail(index, '"from" is missing'), index);
  const value = (): unknown =>
    'value' in operation ? operation.value : fail(index, '"value" is missing');
  switch (operation.op) {
    case 'add':
      return add(document, path, value(), index);
    case 'remove':
      return remove(document, path, index);
    case 'replace':
      read(document, path, index);
      return path.length === 0 ? value() : add(remove(document, path, index), path, value(), index);
    case 'move':
      return add(remove(document, from(), index), path, read(document, from(), index), index);
    case 'copy':
      return add(document, path, read(document, from(), index), index);
    case 'test':
      if (isDeepStrictEqual(read(document, path, index), value())) return document;
      return fail(
        index,
        `test failed: ${operation.path} is ${JSON.stringify(read(document, path, index))}`,
      );
    default:
      return fail(index, `"${operation.op}" is not one of add, remove, replace, move, copy, test`);
  }
}

/** RFC 6902: a list of operations, all or none. @throws CodedError ERR_PATCH naming the operation */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch))
    throw new CodedError('ERR_PATCH', 'a patch of type json must be a list of operations');
  return patch.reduce<unknown>((value, operation: unknown, index) => {
    if (
      !isFields(operation) ||
      typeof operation['op'] !== 'string' ||
      typeof operation['path'] !== 'string'
    )
      return fail(index, 'must be an object with op and path');
    return applyOne(value, operation as unknown as Operation, index);
  }, document);
}
