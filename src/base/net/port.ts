/** Ports, as rules write them: 80, '8000:8080', or the name of an endpoint's port (spec/resources.md 6). */

/** Inclusive, host order, 1 to 65535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export const PORT_MAX = 65_535;

const NAME = /^[a-zA-Z0-9_.-]{1,128}$/;
const DIGITS = /^[0-9]+$/;

/** 1 to 65535 in decimal digits; null otherwise. Zeros in front are as harmless as they are to Go's Atoi. */
export function parsePort(text: string): number | null {
  if (!DIGITS.test(text)) return null;
  const port = Number(text);
  return port >= 1 && port <= PORT_MAX ? port : null;
}

/** '80' or '8000:8080' with the lower end first; null otherwise. */
export function parsePortRange(text: string): PortRange | null {
  const colon = text.indexOf(':');
  const first = parsePort(colon < 0 ? text : text.slice(0, colon));
  const last = colon < 0 ? first : parsePort(text.slice(colon + 1));
  return first === null || last === null || first > last ? null : { first, last };
}

/** A name as a rule may refer to: 1 to 128 of A-Z a-z 0-9 _ . -, not digits only. */
export function isPortName(text: string): boolean {
  return NAME.test(text) && !DIGITS.test(text);
}

/** '80', or '8000:8080'. */
export function formatPortRange(range: PortRange): string {
  return range.first === range.last ? String(range.first) : `${range.first}:${range.last}`;
}

export function portRangeContains(range: PortRange, port: number): boolean {
  return port >= range.first && port <= range.last;
}

/** The same ports in the fewest ranges, ascending: overlapping and adjacent ones are joined. */
export function mergePortRanges(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1) merged.push(range);
    else if (range.last > before.last) {
      merged[merged.length - 1] = { first: before.first, last: range.last };
    }
  }
  return merged;
}
