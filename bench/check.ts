/** The gate: ratios and counts of this run against the recorded ones. Absolute times are never compared. */
import type { CaseResult, Figure } from './case.js';

/** How far a gated figure may be on the wrong side of the baseline: these machines are shared. */
const TOLERANCE = 0.15;

function isWorse(now: Figure, before: Figure): boolean {
  if (now.gate === 'higher') return (now.high ?? now.value) < before.value * (1 - TOLERANCE);
  return (now.low ?? now.value) > before.value * (1 + TOLERANCE);
}

export interface Complaint {
  readonly case: string;
  readonly figure: string;
  readonly line: string;
}

/** Gated figures that are worse than the baseline, its spread and the tolerance allow. */
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
        if (!before || !isWorse(figure, before)) return [];
        const line = `${name}: ${figure.value.toFixed(2)} ${figure.unit}, recorded ${before.value.toFixed(2)}`;
        return [{ case: result.case, figure: figure.name, line }];
      }),
  );
}
