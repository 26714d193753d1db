/** The newest events of this node, and whoever follows them. */
import type { FlowEvent } from './flow-event.js';

export class FlowRing {
  readonly #size: number;
  readonly #events: FlowEvent[] = [];
  /** Of the oldest event, once the ring is full. */
  #start = 0;
  readonly #followers = new Set<(event: FlowEvent) => void>();

  constructor(size: number) {
    this.#size = size;
  }

  get length(): number {
    return this.#events.length;
  }

  get followers(): number {
    return this.#followers.size;
  }

  add(event: FlowEvent): void {
    if (this.#events.length < this.#size) this.#events.push(event);
    else {
      this.#events[this.#start] = event;
      this.#start = (this.#start + 1) % this.#size;
    }
    for (const follower of this.#followers) follower(event);
  }

  /** Oldest first. */
  *oldest(): IterableIterator<FlowEvent> {
    for (let i = 0; i < this.#events.length; i++) yield this.#at(i);
  }

  /** Newest first. */
  *newest(): IterableIterator<FlowEvent> {
    for (let i = this.#events.length - 1; i >= 0; i--) yield this.#at(i);
  }

  #at(i: number): FlowEvent {
    const event = this.#events[(this.#start + i) % this.#events.length];
    if (event === undefined) throw new RangeError(`no event ${i} of ${this.#events.length}`);
    return event;
  }

  /** Calls back for every event from now on; the result ends that. */
  follow(onEvent: (event: FlowEvent) => void): () => void {
    this.#followers.add(onEvent);
    return () => {
      this.#followers.delete(onEvent);
    };
  }
}
