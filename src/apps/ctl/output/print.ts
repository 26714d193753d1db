/** Renders results in the format that `-o` asks for (spec/cli.md 6). */
import { stringify } from 'yaml';
import { CodedError } from '../../../base/error.js';
import { API_VERSION } from '../../../model/api/registry.js';
import type { Resource } from '../../../model/update.js';
import { customColumns, tableColumns } from './columns.js';
import { renderTable } from './table.js';

export type OutputFormat =
  | { readonly type: 'ps' | 'wide' | 'yaml' | 'json' | 'name' | 'ndjson' }
  | { readonly type: 'custom-columns'; readonly columns: readonly string[] };

/** One object, or the list a kind was asked for. */
export type Result =
  | { readonly type: 'object'; readonly object: Resource }
  | {
      readonly type: 'list';
      readonly kind: string;
      readonly items: readonly Resource[];
      readonly revision: string;
    };

const SIMPLE = ['ps', 'wide', 'yaml', 'json', 'name', 'ndjson'] as const;

/** @throws CodedError ERR_OUTPUT_FORMAT for a format that does not exist. */
export function parseOutputFormat(text: string): OutputFormat {
  const name = text === 'yml' ? 'yaml' : text;
  const simple = SIMPLE.find((known) => known === name);
  if (simple) return { type: simple };
  if (text.startsWith('custom-columns=')) {
    const columns = text
      .slice('custom-columns='.length)
      .split(',')
      .filter((column) => column !== '');
    if (columns.length > 0) return { type: 'custom-columns', columns };
    throw new CodedError('ERR_OUTPUT_FORMAT', 'need to specify at least one column');
  }
  throw new CodedError(
    'ERR_OUTPUT_FORMAT',
    `unrecognized output format '${text}', expected one of ${SIMPLE.join(', ')}, custom-columns=A,B`,
  );
}

const FIRST_KEYS = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

/** A copy whose maps are in reading order: envelope first, then alphabetical. */
function ordered(value: unknown, top = true): unknown {
  if (Array.isArray(value)) return value.map((item) => ordered(item, top));
  if (typeof value !== 'object' || value === null) return value;
  const rank = (key: string): number =>
    top && FIRST_KEYS.includes(key) ? FIRST_KEYS.indexOf(key) : FIRST_KEYS.length;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== undefined)
      .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
      .map(([key, child]) => [key, ordered(child, top && key === 'items')]),
  );
}

/** creationTimestamp is printed even where there is none (spec/resources.md 1.3). */
function shown(resource: Resource): Resource {
  return { ...resource, metadata: { creationTimestamp: null, ...resource.metadata } };
}

function document(result: Result): unknown {
  if (result.type === 'object') return ordered(shown(result.object));
  return ordered({
    apiVersion: API_VERSION,
    kind: `${result.kind}List`,
    metadata: { resourceVersion: result.revision },
    items: result.items.map(shown),
  });
}

const itemsOf = (result: Result): readonly Resource[] =>
  result.type === 'object' ? [result.object] : result.items;
const kindOf = (result: Result): string =>
  result.type === 'object' ? result.object.kind : result.kind;

export interface RenderOptions {
  readonly format: OutputFormat;
  /** Namespaced kinds show their namespace. */
  readonly namespace: boolean;
}

export function render(results: readonly Result[], options: RenderOptions): string {
  const { format } = options;
  const documents = (): unknown => {
    const all = results.map(document);
    return all.length === 1 ? all[0] : all;
  };
  switch (format.type) {
    case 'yaml':
      return stringify(documents(), { lineWidth: 0 });
    case 'json':
      return `${JSON.stringify(documents(), null, 2)}\n`;
    case 'ndjson':
      return results
        .flatMap(itemsOf)
        .map((item) => `${JSON.stringify(ordered(shown(item)))}\n`)
        .join('');
    case 'name':
      return results
        .flatMap(itemsOf)
        .map((item) => `${nameLine(item, options.namespace)}\n`)
        .join('');
    case 'custom-columns':
      return results.map((result) => renderCustom(result, format.columns)).join('');
    case 'ps':
    case 'wide':
      return results
        .map((result) =>
          renderTable(
            tableColumns(kindOf(result), {
              wide: format.type === 'wide',
              namespace:
                options.namespace && itemsOf(result).every((item) => item.metadata.namespace),
            }),
            itemsOf(result),
          ),
        )
        .join('');
    default:
      return format satisfies never;
  }
}

function nameLine(item: Resource, namespace: boolean): string {
  const { name } = item.metadata;
  const inside = namespace && item.metadata.namespace ? `${item.metadata.namespace}/${name}` : name;
  return `${item.kind.toLowerCase()}/${inside}`;
}

function renderCustom(result: Result, headings: readonly string[]): string {
  const known = customColumns(kindOf(result));
  const columns = headings.map((heading) => {
    const column = known.get(heading.toUpperCase());
    if (column) return column;
    const valid = [...known.keys()].join(', ');
    throw new CodedError(
      'ERR_OUTPUT_FORMAT',
      `Unknown heading ${heading}, valid values are: ${valid}`,
    );
  });
  return renderTable(columns, itemsOf(result));
}
