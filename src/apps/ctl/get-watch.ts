/** get --watch: the list, then a line or a document for each change, until interrupted. */
import { CodedError } from '../../base/error.js';
import type { WatchEvent } from '../../datastore/datastore.js';
import type { KindInfo } from '../../model/api/registry.js';
import { formatKey, type Resource, type ResourceKey } from '../../model/update.js';
import type { Arrangement, GetFlags } from './get.js';
import { argumentNamespace } from './namespace.js';
import { columnsFor, type RenderOptions, render } from './output/print.js';
import { type Column, TableLayout } from './output/table.js';
import type { Session } from './session.js';

export interface WatchRequest {
  readonly kinds: readonly KindInfo[];
  readonly keys: readonly ResourceKey[];
  readonly flags: GetFlags;
  readonly options: RenderOptions;
  readonly arrangement: Arrangement;
}

type EventName = 'ADDED' | 'MODIFIED' | 'DELETED';

interface Shown {
  readonly event: EventName;
  readonly resource: Resource;
}

const isTable = ({ format }: RenderOptions): boolean =>
  ['ps', 'wide', 'custom-columns'].includes(format.type);

/** Is this object one of those that the command line asks for? */
function asked(request: WatchRequest): (key: ResourceKey) => boolean {
  if (request.kinds.length === 0) {
    const wanted = new Set(request.keys.map(formatKey));
    return (key) => wanted.has(formatKey(key));
  }
  const namespaces = new Map(
    request.kinds.map((info) => [info.kind, argumentNamespace(info, undefined, request.flags)]),
  );
  return ({ kind, namespace }) => {
    if (!namespaces.has(kind as KindInfo['kind'])) return false;
    const only = namespaces.get(kind as KindInfo['kind']);
    return only === undefined || only === namespace;
  };
}

/** What of a change is shown: deletions as the object was, and what no longer matches as deleted. */
class Follower {
  readonly #asked: (key: ResourceKey) => boolean;
  readonly #shows: (resource: Resource) => boolean;
  readonly #known = new Map<string, Resource>();

  constructor(request: WatchRequest) {
    this.#asked = asked(request);
    this.#shows = request.arrangement.shows;
  }

  take(key: ResourceKey, value: Resource | null): Shown | undefined {
    if (!this.#asked(key)) return undefined;
    const id = formatKey(key);
    const before = this.#known.get(id);
    if (value === null || !this.#shows(value)) {
      this.#known.delete(id);
      return before === undefined ? undefined : { event: 'DELETED', resource: before };
    }
    this.#known.set(id, value);
    return { event: before === undefined ? 'ADDED' : 'MODIFIED', resource: value };
  }
}

/** Prints what is there and then what changes, in the layout that the first table gave. */
class Printer {
  readonly #session: Session;
  readonly #request: WatchRequest;
  readonly #layouts = new Map<string, TableLayout<Shown>>();

  constructor(session: Session, request: WatchRequest) {
    this.#session = session;
    this.#request = request;
  }

  async print(shown: readonly Shown[]): Promise<void> {
    for (const one of shown) {
      const { options, flags } = this.#request;
      if (isTable(options)) this.#session.out(await this.#row(one, shown));
      else {
        const object = { type: 'object', object: one.resource } as const;
        const text = await render([object], options);
        const event = flags.outputWatchEvents === true ? `# ${one.event}\n` : '';
        this.#session.out(options.format.type === 'yaml' ? `---\n${event}${text}` : text);
      }
    }
  }

  async #row(one: Shown, all: readonly Shown[]): Promise<string> {
    const { kind } = one.resource;
    let header = '';
    let layout = this.#layouts.get(kind);
    if (layout === undefined) {
      const same = all.filter(({ resource }) => resource.kind === kind);
      layout = new TableLayout(await this.#columns(one.resource), same, this.#request.options);
      this.#layouts.set(kind, layout);
      if (this.#request.options.headers !== false) header = layout.header();
    }
    return header + layout.row(one);
  }

  async #columns(resource: Resource): Promise<readonly Column<Shown>[]> {
    const result = { type: 'object', object: resource } as const;
    const columns = await columnsFor(result, this.#request.options);
    const event = { heading: 'EVENT   ', cell: (shown: Shown) => shown.event };
    return [
      ...(this.#request.flags.outputWatchEvents === true ? [event] : []),
      ...columns.map(({ heading, cell }) => ({
        heading,
        cell: (shown: Shown) => cell(shown.resource),
      })),
    ];
  }
}

const valueAfter = (event: Extract<WatchEvent, { type: 'put' | 'delete' }>): Resource | null =>
  event.type === 'put' ? event.item.value : null;

/** Never returns of itself: ends with the signal's reason, or when the store ends the watch. */
export async function watch(session: Session, request: WatchRequest): Promise<void> {
  const store = await session.store();
  const snapshot = await store.snapshot();
  const follower = new Follower(request);
  const printer = new Printer(session, request);
  const present = snapshot.items.flatMap(({ key, value }) => follower.take(key, value) ?? []);
  if (request.flags.watchOnly !== true) await printer.print(present);
  const { revision } = snapshot;
  for await (const event of store.watch({ revision, signal: session.signal })) {
    if (event.type === 'progress') continue;
    if (event.type === 'invalid') {
      session.err(`Warning: ${formatKey(event.key)} cannot be read: ${event.reason}`);
      continue;
    }
    const key = event.type === 'put' ? event.item.key : event.key;
    const shown = follower.take(key, valueAfter(event));
    if (shown !== undefined) await printer.print([shown]);
  }
  throw new CodedError('ERR_WATCH', 'the datastore ended the watch');
}
