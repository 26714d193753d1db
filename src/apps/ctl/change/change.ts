/** Reads one object, changes it and writes it back on the revision that was read: patch, label and edit. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../../../base/error.js';
import type { Datastore, StoredResource } from '../../../datastore/datastore.js';
import { isDatastoreError } from '../../../datastore/datastore-error.js';
import { formatProblems, type Problem } from '../../../model/api/problem.js';
import { validateChange, validateResource } from '../../../model/api/validate.js';
import type { Resource, ResourceKey } from '../../../model/update.js';

const ATTEMPTS_MAX = 5;
const RETRY_DELAY_MS = 1000;

export type Change = (resource: Resource) => unknown;

function identityProblems(before: Resource, after: Resource): readonly Problem[] {
  const parts: readonly (readonly [readonly string[], unknown, unknown])[] = [
    [['apiVersion'], before.apiVersion, after.apiVersion],
    [['kind'], before.kind, after.kind],
    [['metadata', 'name'], before.metadata.name, after.metadata?.name],
    [['metadata', 'namespace'], before.metadata.namespace, after.metadata?.namespace],
  ];
  return parts
    .filter(([, old, now]) => old !== now)
    .map(([path, old, now]) => ({ path, value: now, reason: `must stay "${String(old)}"` }));
}

const problemId = ({ path, reason }: Problem): string => `${path.join('.')} ${reason}`;

/**
 * The changed object with its defaults. What was wrong before may stay wrong: fields that a newer component wrote
 * survive, and an object can be mended step by step.
 *
 * @throws CodedError ERR_DATASTORE_INVALID for every problem that the change brings.
 */
export function checkedChange(before: Resource, changed: unknown): Resource {
  const after = changed as Resource;
  const moved = identityProblems(before, after);
  if (moved.length > 0) throw invalid(moved);
  const strict = validateResource(after, { mode: 'manifest' });
  if (strict.ok) return checkUnchangeable(before, strict.resource);
  const old = validateResource(before, { mode: 'manifest' });
  const known = new Set(old.ok ? [] : old.problems.map(problemId));
  const fresh = strict.problems.filter((problem) => !known.has(problemId(problem)));
  if (fresh.length > 0) throw invalid(fresh);
  const lenient = validateResource(after, { mode: 'stored' });
  if (!lenient.ok) throw invalid(lenient.problems);
  return checkUnchangeable(before, lenient.resource);
}

function checkUnchangeable(before: Resource, after: Resource): Resource {
  const stored = validateResource(before, { mode: 'stored' });
  const problems = stored.ok ? validateChange(stored.resource, after) : [];
  if (problems.length > 0) throw invalid(problems);
  return after;
}

const invalid = (problems: readonly Problem[]): CodedError =>
  new CodedError('ERR_DATASTORE_INVALID', formatProblems(problems));

/** A race is run again; a change that makes no sense is not. */
export async function changeObject(
  store: Datastore,
  key: ResourceKey,
  { change, signal }: { readonly change: Change; readonly signal: AbortSignal },
): Promise<StoredResource> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const current = await store.get(key);
    const after = checkedChange(current.value, change(structuredClone(current.value)));
    try {
      return await store.update(key, after, current.revision);
    } catch (error) {
      const raced = isDatastoreError(error, 'ERR_DATASTORE_CONFLICT');
      if (!raced || attempt === ATTEMPTS_MAX) throw error;
      await sleep(RETRY_DELAY_MS, undefined, { signal });
    }
  }
}

/** @throws CodedError ERR_READ_ONLY for kinds that the command line only shows. */
export function refuseReadOnlyKind(kind: string, operation: string): void {
  if (kind !== 'ClusterInformation' && kind !== 'BlockAffinity') return;
  throw new CodedError('ERR_READ_ONLY', `operation ${operation} is not supported on ${kind}`);
}
