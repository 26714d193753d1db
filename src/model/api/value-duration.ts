/** Durations as Go writes them: '1h2m3.5s', '90s', '250ms' (spec/resources.md 6). */
import { Refused, scalar } from './schema.js';

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
/** Go keeps durations in 63 bits. */
const DURATION_MAX = (1n << 63n) - 1n;
const TERM = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/gy;

/** Nanoseconds; null if the text is not a duration. */
export function parseDuration(text: string): bigint | null {
  const negative = text.startsWith('-');
  const digits = negative || text.startsWith('+') ? text.slice(1) : text;
  if (digits === '0') return 0n;
  if (digits === '' || digits.length > 100) return null;
  let total = 0n;
  TERM.lastIndex = 0;
  while (TERM.lastIndex < digits.length) {
    const term = TERM.exec(digits);
    if (term === null) return null;
    const [, whole = '', fraction = '', unit = ''] = term;
    const scale = NANOSECONDS[unit];
    if (scale === undefined || (whole === '' && fraction === '')) return null;
    total += BigInt(whole === '' ? 0 : whole) * scale;
    total += fraction === '' ? 0n : (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  if (total > DURATION_MAX) return null;
  return negative ? -total : total;
}

/** Milliseconds of a validated duration, with a fraction where it has one. */
export function durationMs(text: string): number {
  return Number(parseDuration(text) ?? 0n) / 1e6;
}

/** Go's own form: '1m30s', '250ms', '0s'. */
export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds < 0n) return `-${formatDuration(-nanoseconds)}`;
  if (nanoseconds === 0n) return '0s';
  if (nanoseconds < 1_000n) return `${nanoseconds}ns`;
  if (nanoseconds < 1_000_000n) return `${decimal(nanoseconds, 3)}µs`;
  if (nanoseconds < 1_000_000_000n) return `${decimal(nanoseconds, 6)}ms`;
  const hours = nanoseconds / 3_600_000_000_000n;
  const minutes = (nanoseconds / 60_000_000_000n) % 60n;
  const seconds = `${decimal(nanoseconds % 60_000_000_000n, 9)}s`;
  if (hours > 0n) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0n ? `${minutes}m${seconds}` : seconds;
}

/** `value` divided by 10^places, without trailing zeros. */
function decimal(value: bigint, places: number): string {
  const digits = value.toString().padStart(places + 1, '0');
  const fraction = digits.slice(-places).replace(/0+$/, '');
  return fraction === '' ? digits.slice(0, -places) : `${digits.slice(0, -places)}.${fraction}`;
}

export const duration = scalar<string>('a duration such as "90s"', (raw) => {
  const value = typeof raw === 'string' ? parseDuration(raw) : null;
  return value === null
    ? new Refused(
        'is not a duration: wanted a number and a unit (h, m, s, ms, us, ns), like "1m30s"',
      )
    : formatDuration(value);
});

/** A duration, or 'Auto': follow the kernel's setting. */
export const durationOrAuto = scalar<string>('a duration such as "90s", or Auto', (raw) => {
  if (raw === 'Auto') return raw;
  const value = typeof raw === 'string' ? parseDuration(raw) : null;
  return value === null
    ? new Refused('is not a duration: wanted Auto, or a number and a unit, like "1m30s"')
    : formatDuration(value);
});
