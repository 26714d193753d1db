/**
 * FelixConfiguration as a source of parameters: its fields in text form and its annotations (spec/config.md 3.3, 4.2).
 * Which of them apply to a host, and in which order.
 */
import { parseSelector } from '../selector/parser.js';
import type { Resource } from '../update.js';
import { type ParameterDefinition, parameterOfField } from './parameter-table.js';
import type { Source, SourceText } from './resolve.js';

export const ANNOTATION_PREFIX = 'config.projectcalico.org/';

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const DURATION = /^(\d+(\.\d+)?(ms|s|m|h))+$/;

function durationMs(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (DURATION_MS[unit ?? ''] ?? 0),
    0,
  );
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** { protocol: TCP, port: 22, net: … } as 'tcp:[net:]22'. */
function portText({ protocol, port, net }: Fields): string {
  const where = net === undefined ? '' : String(net).includes(':') ? `[${net}]:` : `${net}:`;
  return `${String(protocol ?? 'tcp').toLowerCase()}:${where}${port}`;
}

/** undefined: the field says nothing. */
function textOf(value: unknown, { type }: ParameterDefinition): string | undefined {
  if (Array.isArray(value)) {
    if (value.length === 0)
      return type === 'port list' || type === 'CIDR list' ? 'none' : undefined;
    return value.map((one) => (isFields(one) ? elementText(one) : String(one))).join(',');
  }
  if (isFields(value)) {
    if (type.startsWith('table range')) return elementText(value);
    return Object.entries(value)
      .map(([key, part]) => `${capital(key)}=${String(part)}`)
      .join(',');
  }
  const text = String(value);
  const ms = type === 'seconds' || type === 'millis' ? durationMs(text) : undefined;
  if (ms === undefined) return text === '' ? undefined : text;
  return String(type === 'millis' ? ms : ms / 1000);
}

const elementText = (one: Fields): string =>
  'min' in one || 'max' in one
    ? `${one['min']}-${one['max']}`
    : 'name' in one && 'timeout' in one
      ? `${one['name']}=${one['timeout']}`
      : portText(one);

/** Fields and annotations of one object; an annotation beats the field. */
function entriesOf(resource: Resource): ReadonlyMap<string, SourceText> {
  const entries = new Map<string, SourceText>();
  const where = `FelixConfiguration(${resource.metadata.name})`;
  for (const [field, value] of Object.entries((resource.spec ?? {}) as Fields)) {
    const parameter = parameterOfField(field);
    if (parameter === undefined || value === null || value === undefined) continue;
    const text = textOf(value, parameter);
    if (text !== undefined)
      entries.set(parameter.name.toLowerCase(), { text, where: `${where} spec.${field}` });
  }
  for (const [key, text] of Object.entries(resource.metadata.annotations ?? {})) {
    if (!key.startsWith(ANNOTATION_PREFIX) || text === '') continue;
    const name = key.slice(ANNOTATION_PREFIX.length).toLowerCase();
    entries.set(name, { text, where: `${where} annotation ${key}` });
  }
  return entries;
}

const sourceOf = (name: string, resource: Resource | undefined): readonly Source[] =>
  resource === undefined ? [] : [{ name, isLocal: false, entries: entriesOf(resource) }];

export interface DatastoreObjects {
  readonly hostname: string;
  readonly configurations: Iterable<Resource>;
  /** Of this host's Node. */
  readonly nodeLabels: Readonly<Record<string, string>>;
  /** Of ClusterInformation. */
  readonly cluster: Fields;
}

export interface DatastoreSources {
  /** Highest first: per-host, selector, global, other resources. */
  readonly sources: readonly Source[];
  readonly warnings: readonly string[];
}

const selectorOf = (resource: Resource): string | undefined =>
  (resource.spec as { readonly nodeSelector?: string } | undefined)?.nodeSelector || undefined;

function matches(resource: Resource, labels: Readonly<Record<string, string>>): boolean {
  const text = selectorOf(resource);
  try {
    return text !== undefined && parseSelector(text).evaluate(labels);
  } catch {
    return false;
  }
}

const byAge = (a: Resource, b: Resource): number => {
  const [x, y] = [a, b].map(
    (one) => `${one.metadata.creationTimestamp ?? '~'} ${one.metadata.name}`,
  );
  return String(x) < String(y) ? -1 : 1;
};

/** What the datastore has to say about this host. */
export function datastoreSources(objects: DatastoreObjects): DatastoreSources {
  const all = [...objects.configurations];
  const named = (name: string): Resource | undefined =>
    all.find(({ metadata }) => metadata.name === name);
  const selected = all
    .filter(({ metadata: { name } }) => name !== 'default' && !name.startsWith('node.'))
    .filter((resource) => matches(resource, objects.nodeLabels))
    .sort(byAge);
  const [oldest, ...ignored] = selected;
  const cluster = ['clusterGUID', 'clusterType', 'calicoVersion'].flatMap((field) => {
    const value = objects.cluster[field];
    const where = `ClusterInformation(default) spec.${field}`;
    return value ? [[field.toLowerCase(), { text: String(value), where }] as const] : [];
  });
  return {
    sources: [
      ...sourceOf('datastore (per-host)', named(`node.${objects.hostname}`)),
      ...sourceOf(`datastore (selector ${oldest?.metadata.name})`, oldest),
      ...sourceOf('datastore (global)', named('default')),
      { name: 'datastore (cluster)', isLocal: false, entries: new Map(cluster) },
    ],
    warnings: ignored.map(
      ({ metadata }) =>
        `FelixConfiguration(${metadata.name}) also selects this host and is ignored: ${oldest?.metadata.name} is older`,
    ),
  };
}
