/** Serves events as JSON lines: what is in the ring, then, if asked, what comes. A slow reader loses, nobody waits. */
import type { ServerResponse } from 'node:http';
import type { PacketObserver } from '../../dataplane/packet-observer.js';
import { type EventQuery, type LostNotice, parseEventQuery } from '../../observe/agent-protocol.js';
import type { FlowEvent } from '../../observe/flow-event.js';
import { compileFilter, type FlowFilter } from '../../observe/flow-filter.js';
import type { FlowRing } from '../../observe/flow-ring.js';
import { refuse } from './control-server.js';

export interface EventStreamsOptions {
  readonly node: string;
  readonly ring: FlowRing;
  readonly observer: PacketObserver;
}

/** Text that a reader has not taken yet; about 1000 events. */
const UNREAD_MAX = 1 << 20;
/** How often followers learn of records that the kernel had no room for. */
const LOST_EVERY_MS = 1000;

export class EventStreams implements Disposable {
  readonly #options: EventStreamsOptions;
  readonly #open = new Set<ServerResponse>();

  constructor(options: EventStreamsOptions) {
    this.#options = options;
  }

  serve(query: URLSearchParams, response: ServerResponse): void {
    let wanted: EventQuery;
    let filter: FlowFilter;
    try {
      wanted = parseEventQuery(query);
      filter = compileFilter(wanted.filter ?? []);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refuse(response, 400, error.message);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const event of this.#past(wanted, filter)) response.write(line(event));
    if (wanted.follow === true)
      this.#follow(response, (event) => isIn(event, wanted) && filter(event));
    else response.end();
  }

  #past({ last, first, ...wanted }: EventQuery, filter: FlowFilter): readonly FlowEvent[] {
    const { ring } = this.#options;
    const found: FlowEvent[] = [];
    const max = last ?? first ?? Number.POSITIVE_INFINITY;
    for (const event of last === undefined ? ring.oldest() : ring.newest()) {
      if (found.length >= max) break;
      if (isIn(event, wanted) && filter(event)) found.push(event);
    }
    return last === undefined ? found : found.reverse();
  }

  #follow(response: ServerResponse, filter: FlowFilter): void {
    const { node, ring, observer } = this.#options;
    let dropped = 0;
    const lose = (where: LostNotice['where'], count: number): void => {
      response.write(line({ type: 'lost', node, where, count }));
    };
    const stop = ring.follow((event) => {
      if (!filter(event)) return;
      if (response.writableLength > UNREAD_MAX) {
        dropped++;
        return;
      }
      if (dropped > 0) lose('stream', dropped);
      dropped = 0;
      response.write(line(event));
    });
    let lost = observer.lost();
    const timer = setInterval(() => {
      const now = observer.lost();
      if (now > lost && response.writableLength <= UNREAD_MAX) lose('kernel', now - lost);
      lost = now;
    }, LOST_EVERY_MS).unref();
    this.#open.add(response);
    observer.watchStarts(true);
    response.flushHeaders();
    response.once('close', () => {
      stop();
      clearInterval(timer);
      this.#open.delete(response);
      if (this.#open.size === 0) observer.watchStarts(false);
    });
  }

  get count(): number {
    return this.#open.size;
  }

  [Symbol.dispose](): void {
    for (const response of this.#open) response.end();
  }
}

const line = (value: FlowEvent | LostNotice): string => `${JSON.stringify(value)}\n`;

function isIn(event: FlowEvent, { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY }: EventQuery) {
  const at = Date.parse(event.time);
  return at >= sinceMs && at <= untilMs;
}
