import { assert } from './assert.js';

type Close = () => void | PromiseLike<void>;

/**
 * Owns what was opened and closes it in reverse order. One that fails to close does not keep the others open:
 * one failure is thrown as it is, several as an AggregateError in the order in which they happened.
 */
export class ResourceStack implements AsyncDisposable {
  #closers: Close[] = [];
  #closing: Promise<void> | undefined;

  /** Returns what it was given. */
  own<T extends Disposable | AsyncDisposable>(resource: T): T {
    this.defer(() =>
      Symbol.asyncDispose in resource
        ? resource[Symbol.asyncDispose]()
        : resource[Symbol.dispose](),
    );
    return resource;
  }

  /** For what has no dispose method of its own. */
  defer(close: Close): void {
    assert(this.#closing === undefined, 'a resource was given to a stack that is closed');
    this.#closers.push(close);
  }

  /** Hands everything over to a new stack: for open() functions, once nothing can fail any more. */
  move(): ResourceStack {
    assert(this.#closing === undefined, 'a closed stack cannot be moved');
    const moved = new ResourceStack();
    moved.#closers = this.#closers;
    this.#closers = [];
    return moved;
  }

  /** Closing twice is fine: both wait for the same closing, and both learn of its failures. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#closers = [];
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) {
      throw new AggregateError(failures, `${failures.length} resources failed to close`);
    }
  }
}
