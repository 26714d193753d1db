/** From `-f` arguments to validated objects: everything is read and checked before anything is written. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import { type KindInfo, kindInfo } from '../../model/api/registry.js';
import { readManifest } from '../../model/manifest/read.js';
import type { Resource, ResourceKey } from '../../model/update.js';
import { type NamespaceFlags, objectNamespace } from './namespace.js';
import type { Session } from './session.js';

export interface LoadFlags extends NamespaceFlags {
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
  readonly skipEmpty?: boolean;
  /** Allows -f http://… */
  readonly insecureUrl?: boolean;
}

export interface LoadedResource {
  readonly info: KindInfo;
  readonly key: ResourceKey;
  readonly resource: Resource;
}

export interface InputText {
  /** As messages name it. */
  readonly name: string;
  readonly text: string;
}

const MANIFEST = /\.(ya?ml|json)$/i;
const URL_TIMEOUT_MS = 30_000;
const URL_BYTES_MAX = 10 * 1024 * 1024;

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
  if (name === '-' || isUrl(name)) return [name];
  try {
    return statSync(name).isDirectory() ? filesIn(name, recursive) : [name];
  } catch (error) {
    if (errorCode(error) === 'ENOENT')
      throw new CodedError('ERR_FILE', `${name}: no such file or directory`);
    throw error;
  }
}

const isUrl = (name: string): boolean => /^https?:\/\//.test(name);

async function fetched(url: string, flags: LoadFlags, signal: AbortSignal): Promise<string> {
  if (url.startsWith('http:') && flags.insecureUrl !== true)
    throw new CodedError('ERR_FILE', `${url}: not encrypted; --insecure-url allows it`);
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(URL_TIMEOUT_MS)]);
    const response = await fetch(url, { signal: limit });
    if (!response.ok) throw new Error(`answered ${response.status} ${response.statusText}`);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += (chunk as Uint8Array).length;
      if (bytes > URL_BYTES_MAX) throw new Error('is larger than 10 MB');
      chunks.push(chunk as Uint8Array);
    }
    return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    signal.throwIfAborted();
    throw new CodedError('ERR_FILE', `${url}: ${errorMessage(error)}`, { cause: error });
  }
}

async function textOf(session: Session, file: string, flags: LoadFlags): Promise<InputText> {
  if (file === '-') return { name: '(standard input)', text: await session.readInput() };
  if (isUrl(file)) return { name: file, text: await fetched(file, flags, session.signal) };
  try {
    return { name: file, text: readFileSync(file, 'utf8') };
  } catch (error) {
    throw new CodedError('ERR_FILE', `${file}: cannot be read: ${errorMessage(error)}`);
  }
}

/** Every text that -f names, in order. */
export async function* inputTexts(session: Session, flags: LoadFlags): AsyncIterable<InputText> {
  const { filename = [] } = flags;
  if (filename.filter((name) => name === '-').length > 1)
    throw new CodedError('ERR_FILE', '-f -: standard input can be read only once');
  for (const name of filename) {
    for (const file of expand(name, flags.recursive === true))
      yield await textOf(session, file, flags);
  }
}

function noResources({ filename = [] }: LoadFlags): CodedError {
  const [only = ''] = filename;
  const isDirectory = filename.length === 1 && only !== '-' && !isUrl(only);
  const where = isDirectory && statSync(only).isDirectory() ? 'directory' : 'file';
  return new CodedError('ERR_INPUT', `no resources specified in ${where} ${filename.join(', ')}`);
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
  const loaded: LoadedResource[] = [];
  const problems: string[] = [];
  for await (const { name, text } of inputTexts(session, flags)) {
    const result = readManifest(text, name, { purpose });
    problems.push(...result.problems);
    for (const { resource } of result.documents) loaded.push(place(resource, flags));
  }
  if (problems.length > 0) throw new CodedError('ERR_INPUT', problems.join('\n'));
  if (loaded.length === 0 && flags.skipEmpty !== true) throw noResources(flags);
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
