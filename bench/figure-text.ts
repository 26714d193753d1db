/** Figures as text, for the terminal and for the page. */
import type { Figure } from './case.js';

const digitsOf = ({ value }: Figure): number => (value >= 100 ? 0 : 2);

/** '1.04 x', '471 ns'. */
export function formatFigure(figure: Figure): string {
  return `${figure.value.toFixed(digitsOf(figure))} ${figure.unit}`;
}

/** '[1.02, 1.05]', or nothing where there is no spread. */
export function formatSpread(figure: Figure): string {
  const { low, high } = figure;
  if (low === undefined || high === undefined) return '';
  return `[${low.toFixed(digitsOf(figure))}, ${high.toFixed(digitsOf(figure))}]`;
}
