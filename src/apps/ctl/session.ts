/** What a verb works with: streams, the store it opens at most once, and a signal that ends it. */
import type { Connection } from '../../datastore/connection.js';
import type { Datastore } from '../../datastore/datastore.js';
import type { Paint } from './color.js';
import type { Progress } from './progress.js';

export interface Session {
  /** Results. */
  readonly out: (text: string) => void;
  /** Everything else; a line without its line break. */
  readonly err: (line: string) => void;
  /** Says that something succeeded: on standard output, unless --quiet. */
  readonly done: (line: string) => void;
  /** Standard error is a terminal: progress may be shown. */
  readonly interactive: boolean;
  /** Standard input and standard error are terminals: questions may be asked. */
  readonly mayAsk: boolean;
  /** Asks on the terminal; false when nobody can be asked. */
  readonly ask: (question: string) => Promise<boolean>;
  /** Styles for tables on standard output. */
  readonly paint: Paint;
  /** Called as `calicoctl`: print what calicoctl v3.2 prints. */
  readonly compatible: boolean;
  readonly signal: AbortSignal;
  /** Where the store is: options, connection file or environment. */
  readonly connection: () => Promise<Connection>;
  /**
   * Opened on first use, closed by the program. Warns once when something else last wrote the cluster, unless
   * `anyVersion`.
   */
  readonly store: (options?: { readonly anyVersion?: boolean }) => Promise<Datastore>;
  /** Standard input as text. */
  readonly readInput: () => Promise<string>;
  /** For work that may take longer than a second. */
  readonly progress: () => Progress;
}

/** A failure that has been explained already: only the exit status is left. */
export class Exit extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}
