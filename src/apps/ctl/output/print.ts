/** Renders results in the format that `-o` asks for (spec/cli.md 6). Loads only what that format needs. */
import { CodedError } from '../../../base/error.js';
import { API_VERSION } from '../../../model/api/registry.js';
import type { Resource } from '../../../model/update.js';
import { plain } from '../color.js';
import { customColumns, type ExtraColumns, tableColumns } from './columns.js';
import type { OutputFormat } from './format.js';
import { type Column, renderTable, type TableStyle } from './table.js';

/** One object, or the list a kind was asked for. */
export type Result =
  | { readonly type: 'object'; readonly object: Resource }
  | {
      readonly type: 'list';
      readonly kind: string;
      readonly items: readonly Resource[];
      readonly revision: string;
    };

export interface RenderOptions extends TableStyle, ExtraColumns {
  readonly format: OutputFormat;
  /** Namespaced kinds show their namespace. */
  readonly namespace: boolean;
  /** Called as calicoctl. */
  readonly compatible: boolean;
  /** Several results are YAML documents of their own instead of one list. */
  readonly multiDoc?: boolean;
  /** Number of autonomous systems that nodes without one inherit; '(unknown)' when it could not be read. */
  readonly asNumber: string;
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
export function readable(resource: Resource): unknown {
  return ordered({ ...resource, metadata: { creationTimestamp: null, ...resource.metadata } });
}

function document(result: Result): unknown {
  if (result.type === 'object') return readable(result.object);
  return {
    apiVersion: API_VERSION,
    kind: `${result.kind}List`,
    metadata: { resourceVersion: result.revision },
    items: result.items.map(readable),
  };
}

const itemsOf = (result: Result): readonly Resource[] =>
  result.type === 'object' ? [result.object] : result.items;
const kindOf = (result: Result): string =>
  result.type === 'object' ? result.object.kind : result.kind;

export async function render(results: readonly Result[], options: RenderOptions): Promise<string> {
  const { format } = options;
  switch (format.type) {
    case 'yaml': {
      const { stringify } = await import('yaml');
      if (options.multiDoc !== true) return stringify(whole(results), { lineWidth: 0 });
      return results
        .flatMap(itemsOf)
        .map((item) => stringify(readable(item), { lineWidth: 0 }))
        .join('---\n');
    }
    case 'json':
      return `${JSON.stringify(whole(results), null, 2)}\n`;
    case 'ndjson':
      return results
        .flatMap(itemsOf)
        .map((item) => `${JSON.stringify(readable(item))}\n`)
        .join('');
    case 'name':
      return results
        .flatMap(itemsOf)
        .map((item) => `${nameLine(item, options.namespace)}\n`)
        .join('');
    case 'jsonpath': {
      const { JsonPath } = await import('./jsonpath.js');
      const all = results.map(document);
      return new JsonPath(format.template).print(all.length === 1 ? all[0] : { items: all });
    }
    case 'go-template': {
      const { renderGoTemplate } = await import('./go-template.js');
      return renderGoTemplate(format.template, results.map(document), {
        asNumber: options.asNumber,
      });
    }
    case 'custom-columns':
    case 'ps':
    case 'wide':
      return await renderTables(results, options);
    default:
      return format satisfies never;
  }
}

/** The one result itself, several as a list. */
function whole(results: readonly Result[]): unknown {
  const all = results.map(document);
  return all.length === 1 ? all[0] : all;
}

async function renderTables(results: readonly Result[], options: RenderOptions): Promise<string> {
  const style = { ...options, paint: options.paint ?? plain, trailingSpaces: options.compatible };
  const tables: string[] = [];
  for (const result of results)
    tables.push(renderTable(await columnsFor(result, options), itemsOf(result), style));
  return tables.join('');
}

/** The columns that the format asks for. */
export async function columnsFor(
  result: Result,
  options: RenderOptions,
): Promise<readonly Column<Resource>[]> {
  const { format, compatible, asNumber } = options;
  if (format.type === 'custom-columns')
    return await chosenColumns(kindOf(result), format.columns, options);
  const items = itemsOf(result);
  return tableColumns(kindOf(result), {
    ...options,
    compatible,
    asNumber,
    wide: format.type === 'wide',
    namespace: options.namespace && isNamespaced(kindOf(result), items),
  });
}

const NAMESPACED: ReadonlySet<string> = new Set([
  'NetworkPolicy',
  'NetworkSet',
  'WorkloadEndpoint',
  'StagedNetworkPolicy',
  'StagedKubernetesNetworkPolicy',
]);

const isNamespaced = (kind: string, items: readonly Resource[]): boolean =>
  NAMESPACED.has(kind) || (items.length > 0 && items.every((item) => item.metadata.namespace));

function nameLine(item: Resource, namespace: boolean): string {
  const { name } = item.metadata;
  const inside = namespace && item.metadata.namespace ? `${item.metadata.namespace}/${name}` : name;
  return `${item.kind.toLowerCase()}/${inside}`;
}

/** Column names of the kind, or pairs as in kubectl: 'NAME:.metadata.name'. */
async function chosenColumns(
  kind: string,
  wanted: readonly string[],
  options: RenderOptions,
): Promise<readonly Column<Resource>[]> {
  const known = customColumns(kind, options);
  const columns: Column<Resource>[] = [];
  for (const text of wanted) {
    const [heading = '', path] = text.split(/:(.*)/s, 2);
    const column = known.get(heading.toUpperCase());
    if (path !== undefined && path !== '') {
      const { JsonPath } = await import('./jsonpath.js');
      const template = JsonPath.path(path);
      columns.push({ heading, cell: (item) => template.print(item) || '<none>' });
    } else if (column !== undefined) columns.push(column);
    else {
      const valid = [...known.keys()].join(', ');
      throw new CodedError(
        'ERR_OUTPUT_FORMAT',
        `Unknown heading ${heading}, valid values are: ${valid}`,
      );
    }
  }
  return columns;
}
