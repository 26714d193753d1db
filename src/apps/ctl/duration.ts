/** Durations on the command line: '5', '5s', '250ms', '1m30s'. */
import { CodedError } from '../../base/error.js';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;

/**
 * @param option names the option in the message
 * @returns milliseconds; a number without a unit is seconds
 * @throws CodedError ERR_USAGE
 */
export function parseDurationMs(text: string, option: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(PART)];
  if (parts.length > 0 && parts.map(([part]) => part).join('') === text) {
    return parts.reduce(
      (sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0),
      0,
    );
  }
  throw new CodedError(
    'ERR_USAGE',
    `${option}: "${text}" is not a duration such as 10s, 250ms or 1m30s`,
  );
}
