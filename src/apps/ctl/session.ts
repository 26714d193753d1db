/** What a verb works with: streams, the store it opens at most once, and a signal that ends it. */
import type { Connection } from '../../datastore/connection.js';
import type { Datastore } from '../../datastore/datastore.js';

export interface Session {
  /** Results. */
  readonly out: (text: string) => void;
  /** Everything else; a line without its line break. */
  readonly err: (line: string) => void;
  /** Standard error is a terminal: progress may be shown. */
  readonly interactive: boolean;
  readonly signal: AbortSignal;
  readonly connection: () => Connection;
  /** Opened on first use, closed by the program. */
  readonly store: () => Promise<Datastore>;
  /** Standard input as text. */
  readonly readInput: () => Promise<string>;
}

/** A failure that has been explained already: only the exit status is left. */
export class Exit extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}
