/**
 * Group commit: changes that arrive while others are being written share one transaction and one flush.
 * Decides who shares; knows nothing of what is written.
 */
import { errorMessage } from '../../base/error.js';
import { DatastoreError } from '../datastore-error.js';

/** Bounds how long the lock is held, and with it every other process's wait. */
const BATCH_JOBS_MAX = 128;

interface Job<Transaction> {
  /** @returns how to answer once the batch is durable */
  readonly run: (transaction: Transaction) => () => void;
  readonly fail: (error: unknown) => void;
}

export interface CommitQueueOptions<Transaction> {
  /** Runs `body` in a write transaction; returns when it is durable, throws when nothing was applied. */
  readonly transact: (body: (transaction: Transaction) => void) => void;
}

export class CommitQueue<Transaction> {
  readonly #transact: CommitQueueOptions<Transaction>['transact'];
  #jobs: Job<Transaction>[] = [];
  #scheduled = false;

  constructor({ transact }: CommitQueueOptions<Transaction>) {
    this.#transact = transact;
  }

  /** A DatastoreError from `decide` refuses this job alone; anything else fails the transaction. */
  submit<T>(decide: (transaction: Transaction) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ run: (tx) => this.#decide(decide, tx, { resolve, reject }), fail: reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => this.flush());
    });
  }

  /** Writes what is waiting, now. */
  flush(): void {
    this.#scheduled = false;
    while (this.#jobs.length > 0) {
      const batch = this.#jobs.slice(0, BATCH_JOBS_MAX);
      this.#jobs = this.#jobs.slice(BATCH_JOBS_MAX);
      this.#write(batch);
    }
  }

  #decide<T>(
    decide: (transaction: Transaction) => T,
    transaction: Transaction,
    answer: { resolve: (value: T) => void; reject: (error: unknown) => void },
  ): () => void {
    try {
      const value = decide(transaction);
      return () => answer.resolve(value);
    } catch (error) {
      if (error instanceof DatastoreError) return () => answer.reject(error);
      throw error;
    }
  }

  #write(batch: readonly Job<Transaction>[]): void {
    let answers: (() => void)[] = [];
    let decided = false;
    try {
      this.#transact((transaction) => {
        answers = batch.map((job) => job.run(transaction));
        decided = true;
      });
    } catch (error) {
      // A job that does not fit must not take its neighbours with it. After a failed commit nobody is retried:
      // its outcome is the disk's to say.
      if (!decided && batch.length > 1) for (const job of batch) this.#write([job]);
      else for (const job of batch) job.fail(unavailable(error));
      return;
    }
    for (const answer of answers) answer();
  }
}

/** A storage failure as the interface's error; what already is one stays. */
export function unavailable(error: unknown): DatastoreError {
  if (error instanceof DatastoreError) return error;
  return new DatastoreError('ERR_DATASTORE_UNAVAILABLE', errorMessage(error), { cause: error });
}
