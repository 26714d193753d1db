/** A bar chart of a case's figures as SVG, one panel per unit. */
import type { CaseResult, Figure } from './case.js';

const BAR = 18;
const GAP = 8;
const LABELS = 340;
const BARS = 360;
const WIDTH = LABELS + BARS + 120;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function bar(figure: Figure, top: number, scale: number): string {
  const length = Math.max(1, figure.value * scale);
  const middle = top + BAR / 2;
  const spread =
    figure.low === undefined || figure.high === undefined
      ? ''
      : `<path d="M${LABELS + figure.low * scale} ${middle}H${LABELS + figure.high * scale}" stroke="#222" stroke-width="2"/>`;
  const value = `${figure.value.toFixed(figure.value >= 100 ? 0 : 2)} ${figure.unit}`;
  return [
    `<text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end">${escaped(figure.name)}</text>`,
    `<rect x="${LABELS}" y="${top}" width="${length.toFixed(1)}" height="${BAR}" fill="#4a7fb5"/>`,
    spread,
    `<text x="${(LABELS + length + 6).toFixed(1)}" y="${middle + 4}">${escaped(value)}</text>`,
  ].join('');
}

export function renderChart(result: CaseResult): string {
  const units = [...new Set(result.figures.map((figure) => figure.unit))];
  let top = 40;
  const parts: string[] = [`<text x="12" y="22" font-size="15">${escaped(result.title)}</text>`];
  for (const unit of units) {
    const figures = result.figures.filter((figure) => figure.unit === unit);
    const scale =
      BARS / Math.max(...figures.map((figure) => Math.max(figure.value, figure.high ?? 0)));
    for (const figure of figures) {
      parts.push(bar(figure, top, scale));
      top += BAR + GAP;
    }
    top += GAP * 2;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${top}" font-family="sans-serif" font-size="12">${parts.join('\n')}</svg>\n`;
}
