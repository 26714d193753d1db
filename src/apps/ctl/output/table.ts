/** Tables as kubectl and calicoctl print them: padded columns, no borders (spec/cli.md 6.2). */
const CELL_WIDTH_MIN = 5;
const PADDING = 3;

export interface Column<T> {
  readonly heading: string;
  readonly cell: (item: T) => string;
}

/** Lines end without trailing spaces; the table ends with a line break, an empty line follows it. */
export function renderTable<T>(columns: readonly Column<T>[], items: readonly T[]): string {
  const rows = [
    columns.map((column) => column.heading),
    ...items.map((item) => columns.map((column) => column.cell(item))),
  ];
  const widths = columns.map((_, i) =>
    Math.max(CELL_WIDTH_MIN, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd((widths[i] ?? 0) + PADDING))
      .join('')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n\n`;
}

const CUT_AT = 80;

/** Comma-joined, cut at 80 characters. */
export function joinCut(values: readonly string[]): string {
  const text = values.join(',');
  return text.length > CUT_AT ? `${text.slice(0, CUT_AT - 3)}...` : text;
}
