/** What `margay doctor` finds: each with what to do about it. */
export type Level = 'OK' | 'WARN' | 'FAIL';

export interface Finding {
  readonly check: string;
  readonly level: Level;
  readonly found: string;
  /** A command or one sentence; only where something is to be done. */
  readonly fix?: string;
}

export const fine = (check: string, found: string): Finding => ({ check, level: 'OK', found });
