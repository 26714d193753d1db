/** The gate: ratios and counts of this run against the recorded ones. Absolute times are never compared. */
import type { CaseResult, Figure } from './case.js';

/** How far a gated figure may be on the wrong side of the baseline: these machines are shared. */
const TOLERANCE = 0.15;
/** What two runs may differ by beyond their intervals. */
const AGREEMENT = 0.03;

function isWorse(now: Figure, before: Figure): boolean {
  if (now.gate === 'higher') return (now.high ?? now.value) < before.value * (1 - TOLERANCE);
  return (now.low ?? now.value) > before.value * (1 + TOLERANCE);
}

/** Ratios of two runs, and whether each is inside the other's interval, or next to it. */
export function compareRuns(
  one: { readonly results: readonly CaseResult[] },
  other: { readonly results: readonly CaseResult[] },
): readonly string[] {
  const seconds = new Map(
    other.results.flatMap((result) =>
      result.figures.map((figure) => [`${result.case}: ${figure.name}`, figure] as const),
    ),
  );
  return one.results.flatMap((result) =>
    result.figures.flatMap((first) => {
      const second = seconds.get(`${result.case}: ${first.name}`);
      if (first.unit !== 'x' || second === undefined) return [];
      const agree = isWithin(first, second) || isWithin(second, first);
      const values = `${first.value.toFixed(2)} and ${second.value.toFixed(2)} x`;
      return [`${agree ? 'agree ' : 'DIFFER'}  ${result.case}: ${first.name}: ${values}`];
    }),
  );
}

const isWithin = ({ value }: Figure, spread: Figure): boolean =>
  value >= (spread.low ?? spread.value) * (1 - AGREEMENT) &&
  value <= (spread.high ?? spread.value) * (1 + AGREEMENT);

export interface Complaint {
  readonly case: string;
  readonly figure: string;
  readonly line: string;
}

/** Gated figures that are worse than the baseline, its spread and the tolerance allow, or that it does not know. */
export function checkAgainst(
  baseline: { readonly results: readonly CaseResult[] },
  results: readonly CaseResult[],
): readonly Complaint[] {
  const recorded = new Map<string, Figure>(
    baseline.results.flatMap((result) =>
      result.figures.map((figure) => [`${result.case}: ${figure.name}`, figure] as const),
    ),
  );
  return results.flatMap((result) =>
    result.figures
      .filter((figure) => figure.gate !== undefined)
      .flatMap((figure) => {
        const name = `${result.case}: ${figure.name}`;
        const before = recorded.get(name);
        if (before && !isWorse(figure, before)) return [];
        const was = before ? `recorded ${before.value.toFixed(2)}` : 'of which nothing is recorded';
        const line = `${name}: ${figure.value.toFixed(2)} ${figure.unit}, ${was}`;
        return [{ case: result.case, figure: figure.name, line }];
      }),
  );
}
