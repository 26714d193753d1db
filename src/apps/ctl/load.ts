/** From `-f` arguments to validated objects: everything is read and checked before anything is written. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, errorCode } from '../../base/error.js';
import { type KindInfo, kindInfo } from '../../model/api/registry.js';
import { readManifest } from '../../model/manifest/read.js';
import type { Resource, ResourceKey } from '../../model/update.js';
import { type NamespaceFlags, objectNamespace } from './namespace.js';
import type { Session } from './session.js';

export interface LoadFlags extends NamespaceFlags {
  readonly filename: readonly string[];
  readonly recursive?: boolean;
  readonly skipEmpty?: boolean;
}

export interface LoadedResource {
  readonly info: KindInfo;
  readonly key: ResourceKey;
  readonly resource: Resource;
}

const MANIFEST = /\.(ya?ml|json)$/i;

/** Files of a directory in lexical order; sub-directories only if asked for. */
function filesIn(directory: string, recursive: boolean): readonly string[] {
  return readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return recursive ? filesIn(path, true) : [];
      return MANIFEST.test(entry.name) ? [path] : [];
    });
}

function expand(name: string, recursive: boolean): readonly string[] {
  try {
    return name !== '-' && statSync(name).isDirectory() ? filesIn(name, recursive) : [name];
  } catch (error) {
    if (errorCode(error) === 'ENOENT')
      throw new CodedError('ERR_FILE', `${name}: no such file or directory`);
    throw error;
  }
}

async function textOf(session: Session, file: string): Promise<string> {
  return file === '-' ? session.readInput() : readFileSync(file, 'utf8');
}

/**
 * @param purpose 'write': defaults are filled in and every rule is checked; 'name': only kind and name matter.
 * @throws CodedError ERR_INPUT whose message has one line per problem.
 */
export async function loadResources(
  session: Session,
  flags: LoadFlags,
  purpose: 'write' | 'name',
): Promise<readonly LoadedResource[]> {
  if (flags.filename.filter((name) => name === '-').length > 1) {
    throw new CodedError('ERR_FILE', '-f -: standard input can be read only once');
  }
  const loaded: LoadedResource[] = [];
  const problems: string[] = [];
  for (const name of flags.filename) {
    for (const file of expand(name, flags.recursive === true)) {
      const text = await textOf(session, file);
      const result = readManifest(text, file === '-' ? '(standard input)' : file, { purpose });
      problems.push(...result.problems);
      for (const { resource } of result.documents) loaded.push(place(resource, flags));
    }
  }
  if (problems.length > 0) throw new CodedError('ERR_INPUT', problems.join('\n'));
  if (loaded.length === 0 && !flags.skipEmpty) {
    throw new CodedError('ERR_INPUT', `no resources specified in ${flags.filename.join(', ')}`);
  }
  return loaded;
}

/** Puts the object into its namespace. */
function place(resource: Resource, flags: NamespaceFlags): LoadedResource {
  const info = kindInfo(resource.kind);
  if (!info) throw new CodedError('ERR_INPUT', `resource type '${resource.kind}' is not supported`);
  const namespace = objectNamespace(info, resource.metadata.namespace, flags);
  const { name } = resource.metadata;
  if (namespace === undefined) return { info, key: { kind: info.kind, name }, resource };
  return {
    info,
    key: { kind: info.kind, namespace, name },
    resource: { ...resource, metadata: { ...resource.metadata, namespace } },
  };
}
