/**
 * Validates one object against its kind (spec/resources.md): structure, values, rules between fields; fills in
 * defaults and normal forms. Pure. Loads all schemas: 60 ms at start, so command lines import it when needed.
 */
import * as z from 'zod';
import type { Metadata, Resource } from '../update.js';
import type { Definition, Draft, Mode } from './definition.js';
import { DEFINITIONS } from './definitions.js';
import { type FieldNode, fieldsOf, isObject, prune } from './fields.js';
import { checkIdentity, checkMetadata, metadata } from './metadata.js';
import type { Problem, Report } from './problem.js';
import { API_VERSION, closestKind, type KindInfo, kindInfo } from './registry.js';
import { object, type Source } from './schema.js';
import { problemOf } from './zod-problem.js';

export type Validation =
  | { readonly ok: true; readonly resource: Resource }
  /** In the order of the object's fields as the schema has them. Never empty. */
  | { readonly ok: false; readonly problems: readonly Problem[] };

export interface ValidateOptions {
  /**
   * 'create' and 'update': what the library demands before a write. 'manifest': an object from a user's file,
   * whose namespace and resource version the caller handles. 'stored': read from a datastore; unknown fields
   * are kept and rules that a dataplane can do without are not enforced.
   */
  readonly mode: Mode;
}

type Parsed = { readonly metadata: Partial<Metadata>; readonly spec: unknown };

interface KindValidator {
  readonly info: KindInfo;
  readonly definition: Definition;
  schema: z.ZodType;
  readonly fields: FieldNode;
  uses: number;
}

/**
 * From here on a schema is worth compiling: that takes 30 ms for a policy, as long as a thousand plain parses,
 * and makes each later one three times as fast. A command line with a few objects never gets there.
 */
const COMPILE_AFTER = 300;

const validators = new Map<string, KindValidator>();

/** Built on first use: most runs see few kinds. */
function validatorOf(info: KindInfo, source: Source): KindValidator {
  const id = `${info.kind}/${source}`;
  let validator = validators.get(id);
  if (validator === undefined) {
    const definition: Definition = DEFINITIONS[info.kind];
    const schema = envelope(info, source);
    validator = { info, definition, schema, fields: fieldsOf(schema), uses: 0 };
    validators.set(id, validator);
  }
  validator.uses++;
  if (validator.uses === COMPILE_AFTER) validator.schema = z.compile(validator.schema);
  return validator;
}

/** The whole document of a kind. */
export function envelope(info: KindInfo, source: Source) {
  const definition: Definition = DEFINITIONS[info.kind];
  return object({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(info.kind),
    metadata,
    spec: definition.spec(source),
    status: (definition.status?.() ?? z.unknown()).optional(),
  });
}

/**
 * Never throws, whatever `value` is. `resource` is a new object, or shares parts with `value`; validating it
 * again gives an equal one.
 */
export function validateResource(value: unknown, { mode }: ValidateOptions): Validation {
  const info = identify(value);
  if ('reason' in info) return { ok: false, problems: [info] };
  const source: Source = mode === 'stored' ? 'stored' : 'user';
  const validator = validatorOf(info, source);
  const { definition } = validator;
  const problems: Problem[] = [];
  const pruned = prune(validator.fields, withSpec(value), [], {
    strict: source === 'user',
    keepEmptyLists: definition.keepEmptyLists === true,
    problems,
  });
  const parsed = validator.schema.safeParse(pruned);
  if (!parsed.success) {
    problems.push(...parsed.error.issues.map((issue) => problemOf(issue, pruned)));
    checkMetadataOf(pruned, { info, mode, problems });
    return { ok: false, problems: inOrder(problems) };
  }
  const draft = finish(parsed.data as Parsed, validator, { mode, problems });
  if (problems.length > 0) return { ok: false, problems: inOrder(problems) };
  return { ok: true, resource: draft as unknown as Resource };
}

/** Defaults, then the rules that need the whole object. */
function finish(
  parsed: Parsed,
  { info, definition }: KindValidator,
  { mode, problems }: { readonly mode: Mode; readonly problems: Problem[] },
): Parsed {
  const report = reporter(problems);
  checkMetadata(info, parsed.metadata, { mode, report });
  // Only a WorkloadEndpoint can go on without a name: it gets one.
  if (parsed.metadata.name === undefined && info.kind !== 'WorkloadEndpoint') return parsed;
  const draft = parsed as Draft<unknown>;
  const complete = definition.complete?.(draft, { mode }) ?? draft;
  if (mode !== 'stored') definition.check?.(complete, report);
  return complete === draft ? parsed : { ...parsed, ...complete };
}

/** Which object is meant: only kind, name and namespace are checked, and nothing is filled in. */
export function validateIdentity(value: unknown): Validation {
  const info = identify(value);
  if ('reason' in info) return { ok: false, problems: [info] };
  const named = isObject(value) ? (value['metadata'] ?? {}) : {};
  const problems: Problem[] = [];
  const parsed = metadata.safeParse(named);
  if (!parsed.success) {
    const root = { metadata: named };
    problems.push(
      ...parsed.error.issues.map((issue) =>
        problemOf({ ...issue, path: ['metadata', ...issue.path] }, root),
      ),
    );
  } else {
    const report = reporter(problems);
    checkIdentity(info, parsed.data as Partial<Metadata>, { mode: 'manifest', report });
  }
  return problems.length > 0
    ? { ok: false, problems }
    : { ok: true, resource: { ...(value as Resource), metadata: named as Metadata } };
}

/** Rules between an object as stored and as it shall be: both must have been validated. */
export function validateChange(before: Resource, after: Resource): readonly Problem[] {
  const info = kindInfo(after.kind);
  if (info === undefined) return [];
  const problems: Problem[] = [];
  const definition: Definition = DEFINITIONS[info.kind];
  definition.checkChange?.(draftOf(before), draftOf(after), reporter(problems));
  return problems;
}

const draftOf = ({ metadata, spec }: Resource): Draft<unknown> => ({ metadata, spec });

const reporter =
  (problems: Problem[]): Report =>
  (path, value, reason) => {
    problems.push({ path, value, reason });
  };

/** What kind of object is it? Kind and version are named together, whichever is wrong. */
function identify(value: unknown): KindInfo | Problem {
  if (!isObject(value))
    return { path: [], value: undefined, reason: 'the document must be an object' };
  const { apiVersion, kind } = value;
  const info = typeof kind === 'string' ? kindInfo(kind) : undefined;
  if (info !== undefined && apiVersion === API_VERSION) return info;
  const path = [info === undefined ? 'kind' : 'apiVersion'];
  return { path, value: undefined, reason: unknownType(kind, apiVersion, info) };
}

function unknownType(kind: unknown, apiVersion: unknown, info: KindInfo | undefined): string {
  const near = typeof kind === 'string' && info === undefined ? closestKind(kind) : undefined;
  const hints =
    info === undefined && near === undefined
      ? []
      : [
          ...(near === undefined ? [] : [`kind "${near}"`]),
          ...(apiVersion === API_VERSION ? [] : [`apiVersion "${API_VERSION}"`]),
        ];
  const hint = hints.length === 0 ? '' : ` (did you mean ${hints.join(' and ')}?)`;
  const shown = (part: unknown): string => (part === undefined ? 'missing' : String(part));
  return `Unknown resource type (${shown(kind)}) and/or version (${shown(apiVersion)})${hint}`;
}

/** Where nothing in it is required, spec may be left out. */
function withSpec(value: unknown): unknown {
  if (!isObject(value)) return value;
  const { metadata, spec } = value;
  if (spec !== undefined && spec !== null && metadata !== undefined) return value;
  return { ...value, metadata: metadata ?? {}, spec: spec ?? {} };
}

/** The names and labels of an object that is wrong elsewhere, unless they are what is wrong. */
function checkMetadataOf(
  value: unknown,
  options: { readonly info: KindInfo; readonly mode: Mode; readonly problems: Problem[] },
): void {
  const parsed = isObject(value) ? metadata.safeParse(value['metadata']) : undefined;
  if (!parsed?.success) return;
  const report = reporter(options.problems);
  checkMetadata(options.info, parsed.data as Partial<Metadata>, { mode: options.mode, report });
}

const SECTIONS = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

const rank = ({ path }: Problem): number => {
  const [first] = path;
  const at = typeof first === 'string' ? SECTIONS.indexOf(first) : -1;
  return at < 0 ? SECTIONS.length : at;
};

/** Metadata before spec; otherwise as found. */
const inOrder = (problems: readonly Problem[]): readonly Problem[] =>
  [...problems].sort((a, b) => rank(a) - rank(b));
