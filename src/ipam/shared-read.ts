import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * A read that many ask for at once. Whoever asks while one is under way shares the next: what they get was read after
 * they asked, so nobody acts on less than a read of their own would have shown.
 */
export class SharedRead<T> {
  readonly #load: () => Promise<T>;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | null = null;

  constructor(load: () => Promise<T>) {
    this.#load = load;
  }

  read(): Promise<T> {
    this.#next ??= this.#start();
    return this.#next;
  }

  async #start(): Promise<T> {
    await this.#running.catch(() => undefined);
    // Answers that were written together wake their askers in one turn of the loop; the next questions come with it.
    await nextTurn();
    this.#next = null;
    const reading = this.#load();
    this.#running = reading;
    return await reading;
  }
}
