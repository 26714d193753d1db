/** The gate: ratios and counts of this run against the recorded ones. Absolute times are never compared. */
import type { CaseResult, Figure } from './case.js';

/** How far a gated figure may be on the wrong side of the baseline: these machines are shared. */
const TOLERANCE = 0.15;

function isWorse(now: Figure, before: Figure): boolean {
  if (now.gate === 'higher') return (now.high ?? now.value) < before.value * (1 - TOLERANCE);
  return (now.low ?? now.value) > before.value * (1 + TOLERANCE);
}

/** One line for each gated figure that is worse than the baseline, its spread and the tolerance allow. */
export function checkAgainst(
  baseline: { readonly results: readonly CaseResult[] },
  results: readonly CaseResult[],
): readonly string[] {
  const recorded = new Map(
    baseline.results.flatMap((result) =>
      result.figures.map((figure) => [`${result.case}: ${figure.name}`, figure] as const),
    ),
  );
  return results.flatMap((result) =>
    result.figures
      .filter((figure) => figure.gate !== undefined)
      .flatMap((figure) => {
        const before = recorded.get(`${result.case}: ${figure.name}`);
        if (!before || !isWorse(figure, before)) return [];
        return [
          `${result.case}: ${figure.name}: ${figure.value.toFixed(2)} ${figure.unit}, recorded ${before.value.toFixed(2)}`,
        ];
      }),
  );
}
