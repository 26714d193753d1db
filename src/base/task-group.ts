import { assert } from './assert.js';

export type Task = (options: { readonly signal: AbortSignal }) => Promise<void>;

/**
 * Tasks that live and die together, so that no promise floats. The first failure aborts the others; so does the
 * outer signal, and so does disposal. What a task throws once it is aborted is its way of stopping if it is the
 * reason of the abort, else a failure like any other.
 */
export class TaskGroup implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];
  readonly #unlink: () => void;
  #isReported = false;

  constructor({ signal }: { readonly signal: AbortSignal }) {
    const onAbort = (): void => this.#controller.abort(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    this.#unlink = () => signal.removeEventListener('abort', onAbort);
  }

  /** Aborted when the group is to stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Tasks that have not ended. */
  get size(): number {
    return this.#running.size;
  }

  /** Starts a task now. Tasks may start tasks. */
  spawn(task: Task): void {
    assert(!this.#isReported, 'a task was given to a group that has ended');
    const running = this.#run(task).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Until all tasks have ended. Throws the failure; several as an AggregateError, the first one first. */
  async join(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.#isReported = true;
    this.#unlink();
    const [first] = this.#failures;
    if (this.#failures.length > 1) {
      throw new AggregateError(this.#failures, `${this.#failures.length} tasks failed`);
    }
    if (this.#failures.length === 1) throw first;
  }

  /** Aborts what still runs and waits for it. Throws failures unless join() has already done so. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReported) return;
    this.#controller.abort(new DOMException('the task group was closed', 'AbortError'));
    await this.join();
  }

  /** Never rejects. */
  async #run(task: Task): Promise<void> {
    try {
      await task({ signal: this.signal });
    } catch (error) {
      if (this.signal.aborted && error === this.signal.reason) return;
      this.#failures.push(error);
      this.#controller.abort(error);
    }
  }
}
