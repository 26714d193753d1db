/** What a verb is: one lazily loaded module that describes its options to commander and does the work. */
import type { Command } from 'commander';
import type { Session } from './session.js';

/** Opens a session, does the work and closes the session, whatever happens. */
export type Run = (work: (session: Session) => Promise<void>) => Promise<void>;

export interface VerbModule {
  /**
   * Adds arguments, options, examples and the action to a command that has its name and its purpose already.
   * The action hands its work to `run`. What only the work needs is imported there: `--help` never pays for it.
   */
  define(command: Command, run: Run): void;
}

/** Verbs are listed under these headings. */
export type VerbGroup = 'Resources' | 'Cluster' | 'Host' | 'Help';

export interface VerbEntry {
  readonly name: string;
  /** One sentence for the list of verbs and for the verb's own help. */
  readonly about: string;
  readonly group: VerbGroup;
  readonly load: () => Promise<VerbModule>;
}
