/** Tables with a grid, as `calicoctl ipam` draws them on a terminal (spec/cli.md 8.1). */
import { type Column, renderTable } from './table.js';

export function renderBordered<T>(columns: readonly Column<T>[], items: readonly T[]): string {
  const rows = items.map((item) => columns.map(({ cell }) => cell(item)));
  const headings = columns.map(({ heading }) => heading);
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const centred = headings.map((heading, i) => {
    const space = (widths[i] ?? 0) - heading.length;
    return heading.padStart(heading.length + Math.floor(space / 2)).padEnd(widths[i] ?? 0);
  });
  const line = (cells: readonly string[]): string =>
    `|${cells.map((cell, i) => ` ${cell.padEnd(widths[i] ?? 0)} `).join('|')}|`;
  return `${[rule, line(centred), rule, ...rows.map(line), rule].join('\n')}\n`;
}

/** With a grid where somebody looks at it; for programs, columns. */
export function renderForOutput<T>(
  columns: readonly Column<T>[],
  items: readonly T[],
  { isTerminal }: { readonly isTerminal: boolean },
): string {
  return isTerminal ? renderBordered(columns, items) : renderTable(columns, items);
}
