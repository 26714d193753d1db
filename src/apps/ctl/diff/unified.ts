/** Unified differences of two texts, by Myers' shortest edit script. Pure. */

export interface DiffLine {
  readonly mark: ' ' | '-' | '+';
  readonly text: string;
}

/** The furthest points reached with each number of edits: O((n + m) d) time. */
function trace(a: readonly string[], b: readonly string[]): readonly ReadonlyMap<number, number>[] {
  const history: Map<number, number>[] = [];
  let reach = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= a.length + b.length; edits++) {
    history.push(new Map(reach));
    const next = new Map(reach);
    for (let k = -edits; k <= edits; k += 2) {
      let x = stepsDown(reach, k, edits) ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return history;
    }
    reach = next;
  }
  return history;
}

/** On diagonal k the last edit was an insertion. */
const stepsDown = (reach: ReadonlyMap<number, number>, k: number, edits: number): boolean =>
  k === -edits || (k !== edits && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));

export function diffLines(a: readonly string[], b: readonly string[]): readonly DiffLine[] {
  const lines: DiffLine[] = [];
  let [x, y] = [a.length, b.length];
  const history = trace(a, b);
  for (let edits = history.length - 1; edits >= 0; edits--) {
    const reach = history[edits] ?? new Map<number, number>();
    const k = x - y;
    const down = stepsDown(reach, k, edits);
    const fromX = reach.get(down ? k + 1 : k - 1) ?? 0;
    const fromY = fromX - (down ? k + 1 : k - 1);
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      x--;
      y--;
      lines.push({ mark: ' ', text: a[x] ?? '' });
    }
    if (edits > 0)
      lines.push(down ? { mark: '+', text: b[fromY] ?? '' } : { mark: '-', text: a[fromX] ?? '' });
    [x, y] = [fromX, fromY];
  }
  return lines.reverse();
}

const CONTEXT = 3;

interface Hunk {
  readonly from: number;
  /** Exclusive. */
  to: number;
}

/** Runs of lines that are changed or close to a change. */
function hunksOf(lines: readonly DiffLine[]): readonly Hunk[] {
  const hunks: Hunk[] = [];
  for (const [i, { mark }] of lines.entries()) {
    if (mark === ' ') continue;
    const last = hunks.at(-1);
    if (last !== undefined && i - CONTEXT <= last.to)
      last.to = Math.min(lines.length, i + CONTEXT + 1);
    else
      hunks.push({ from: Math.max(0, i - CONTEXT), to: Math.min(lines.length, i + CONTEXT + 1) });
  }
  return hunks;
}

const range = (start: number, count: number): string =>
  count === 1 ? `${start}` : `${count === 0 ? start - 1 : start},${count}`;

/** Without its two file lines; '' when the texts are the same. */
export function unifiedDiff(before: string, after: string): string {
  const split = (text: string): readonly string[] =>
    text === '' ? [] : text.replace(/\n$/, '').split('\n');
  const lines = diffLines(split(before), split(after));
  const out: string[] = [];
  for (const { from, to } of hunksOf(lines)) {
    const count = (until: number, start: number, mark: '-' | '+'): number =>
      lines.slice(start, until).filter((line) => line.mark === ' ' || line.mark === mark).length;
    const old = range(count(from, 0, '-') + 1, count(to, from, '-'));
    const now = range(count(from, 0, '+') + 1, count(to, from, '+'));
    out.push(`@@ -${old} +${now} @@`);
    out.push(...lines.slice(from, to).map(({ mark, text }) => `${mark}${text}`));
  }
  return out.length === 0 ? '' : `${out.join('\n')}\n`;
}
