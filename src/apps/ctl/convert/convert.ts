/** `margay convert`: v1 manifests and Kubernetes network policies as v3 objects; offline (spec/cli.md 7). */
import { parseAllDocuments, stringify } from 'yaml';
import { CodedError, errorMessage } from '../../../base/error.js';
import { formatProblems } from '../../../model/api/problem.js';
import { validateResource } from '../../../model/api/validate.js';
import { convertNetworkPolicy } from '../../../model/kubernetes/network-policy.js';
import type { Resource } from '../../../model/update.js';
import { inputTexts, type LoadFlags } from '../load.js';
import { readable } from '../output/print.js';
import type { Session } from '../session.js';
import { convertV1 } from './v1.js';
import { type Fields, isFields } from './v1-rule.js';

export interface ConvertFlags extends LoadFlags {
  readonly output: string;
  readonly from?: string;
  readonly ignoreValidation?: boolean;
}

const SOURCES = ['v1', 'k8s'];

/** Objects of lists and arrays, in order. */
function objectsOf(value: unknown): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap(objectsOf);
  if (isFields(value) && Array.isArray(value['items']) && /List$/.test(String(value['kind'])))
    return value['items'].flatMap(objectsOf);
  return [value];
}

interface Input {
  readonly where: string;
  readonly object: Fields;
}

async function inputs(session: Session, flags: ConvertFlags): Promise<readonly Input[]> {
  const found: Input[] = [];
  for await (const { name, text } of inputTexts(session, flags)) {
    const documents = parseAllDocuments(text);
    for (const [i, document] of [documents].flat().entries()) {
      const where = `${name}: document ${i + 1}`;
      const [error] = document.errors;
      if (error) throw new CodedError('ERR_INPUT', `${where}: is not valid YAML: ${error.message}`);
      for (const object of objectsOf(document.toJS({ maxAliasCount: 100 }))) {
        if (!isFields(object)) throw new CodedError('ERR_INPUT', `${where}: must be an object`);
        found.push({ where, object });
      }
    }
  }
  if (found.length === 0 && flags.skipEmpty !== true)
    throw new CodedError('ERR_INPUT', `no resources specified in ${flags.filename?.join(', ')}`);
  return found;
}

function convertOne(session: Session, { where, object }: Input, from: string | undefined): unknown {
  const isKubernetes = String(object['apiVersion']).startsWith('networking.k8s.io/');
  if (!isKubernetes && from !== 'k8s') return convertV1(object);
  if (object['kind'] !== 'NetworkPolicy')
    throw new CodedError(
      'ERR_CONVERT',
      `conversion for the resource type '${object['kind']}' is not supported`,
    );
  const metadata = isFields(object['metadata']) ? object['metadata'] : {};
  const { resource, warnings } = convertNetworkPolicy({
    ...object,
    metadata: { namespace: 'default', ...metadata },
  });
  if (resource === null) throw new CodedError('ERR_CONVERT', warnings.join('; '));
  for (const warning of warnings) session.err(`Warning: ${where}: ${warning}`);
  return resource;
}

const COMES_FROM_CLUSTER = ['uid', 'resourceVersion', 'creationTimestamp'];

function withoutIdentity(value: unknown): unknown {
  const resource = value as Resource;
  const metadata = Object.fromEntries(
    Object.entries(resource.metadata).filter(([key]) => !COMES_FROM_CLUSTER.includes(key)),
  );
  return { ...resource, metadata };
}

/** With its defaults, unless it is not valid and that does not matter. */
function checked(value: unknown, { ignoreValidation }: ConvertFlags): unknown {
  const result = validateResource(value, { mode: 'manifest' });
  if (result.ok) return value;
  if (ignoreValidation === true) return value;
  throw new CodedError(
    'ERR_CONVERT',
    `Converted manifest resource(s) failed validation: ${formatProblems(result.problems)}\nRe-run with --ignore-validation to print it regardless.`,
  );
}

export async function convert(session: Session, flags: ConvertFlags): Promise<void> {
  if (flags.output !== 'yaml' && flags.output !== 'json')
    throw new CodedError(
      'ERR_OUTPUT_FORMAT',
      `unrecognized output format '${flags.output}', expected yaml or json`,
    );
  if (flags.from !== undefined && !SOURCES.includes(flags.from))
    throw new CodedError(
      'ERR_USAGE',
      `--from: "${flags.from}" is not one of ${SOURCES.join(', ')}`,
    );
  if ((flags.filename ?? []).length === 0)
    throw new CodedError('ERR_USAGE', 'convert: give -f FILE (or -f - for standard input)');
  const converted = (await inputs(session, flags)).map((input) => {
    try {
      return checked(withoutIdentity(convertOne(session, input, flags.from)), flags);
    } catch (error) {
      throw new CodedError('ERR_CONVERT', `${input.where}: ${errorMessage(error)}`);
    }
  });
  const shown = converted.map((value) => {
    const { creationTimestamp: _, ...metadata } = (readable(value as Resource) as Resource)
      .metadata;
    return { ...(readable(value as Resource) as Resource), metadata };
  });
  const all = shown.length === 1 ? shown[0] : shown;
  session.out(
    flags.output === 'json'
      ? `${JSON.stringify(all, null, 2)}\n`
      : stringify(all, { lineWidth: 0 }),
  );
}
