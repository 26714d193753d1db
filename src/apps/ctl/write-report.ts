/** The lines that scripts match after a write (spec/cli.md 5.4). */
import { errorMessage } from '../../base/error.js';
import { formatKey, type ResourceKey } from '../../model/update.js';
import type { WriteVerb } from './write-items.js';

export const PAST: Readonly<Record<WriteVerb, string>> = {
  create: 'created',
  apply: 'applied',
  replace: 'replaced',
  delete: 'deleted',
};

export interface Failure {
  readonly key: ResourceKey;
  readonly error: unknown;
}

const onlyKind = (keys: readonly ResourceKey[]): string | undefined =>
  new Set(keys.map((key) => key.kind)).size === 1 ? keys[0]?.kind : undefined;

/** "3 'IPPool' resource(s)", or "3 resource(s)" for mixed kinds. */
export function counted(keys: readonly ResourceKey[], count: number): string {
  const kind = onlyKind(keys);
  return kind === undefined ? `${count} resource(s)` : `${count} '${kind}' resource(s)`;
}

/** Most reasons name the object already. */
const named = (key: ResourceKey, reason: string): string =>
  reason.includes(formatKey(key)) ? reason : `${formatKey(key)}: ${reason}`;

export interface FailureDetails {
  readonly done: number;
  /** Never empty. */
  readonly failures: readonly Failure[];
  /** Later objects were tried after a failure. */
  readonly goOn: boolean;
}

export function failureLines(
  verb: WriteVerb,
  keys: readonly ResourceKey[],
  { done, failures, goOn }: FailureDetails,
): readonly string[] {
  const kind = onlyKind(keys);
  const quoted = kind === undefined ? '' : `'${kind}' `;
  const reasons = failures.map(({ error }) => errorMessage(error));
  const hits =
    failures.length === 1
      ? reasons.map((reason) => `Hit error: ${reason}`)
      : failures.map(({ key }, i) => `Hit error: ${named(key, reasons[i] ?? '')}`);
  if (done > 0) {
    const count = goOn
      ? `${done} out of ${keys.length}`
      : `the first ${done} out of ${keys.length}`;
    return [`Partial success: ${PAST[verb]} ${count} ${quoted}resources:`, ...hits];
  }
  if (keys.length === 1) return [`Failed to ${verb} ${quoted}resource: ${reasons[0]}`];
  const [first] = reasons;
  if (failures.length === 1) return [`Failed to ${verb} any ${quoted}resources: ${first}`];
  return [`Failed to ${verb} any ${quoted}resources:`, ...hits];
}
