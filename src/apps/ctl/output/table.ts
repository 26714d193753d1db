/** Tables as kubectl and calicoctl print them: padded columns, no borders (spec/cli.md 6.2). */
import { type Paint, plain } from '../color.js';

/** Of a cell with its padding, as Go's tabwriter counts. */
const CELL_WIDTH_MIN = 5;
const PADDING = 3;

export interface Column<T> {
  readonly heading: string;
  readonly cell: (item: T) => string;
}

export interface TableStyle {
  readonly headers?: boolean;
  readonly paint?: Paint;
  /** calicoctl pads the last cell of a line, too. */
  readonly trailingSpaces?: boolean;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|\p{Emoji_Presentation}/u;

/** Terminal columns: East Asian wide characters take two, combining marks none. */
export function displayWidth(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: plain ASCII is nearly every cell
  if (/^[\x00-\x7f]*$/.test(text)) return text.length;
  return [...text].reduce(
    (sum, char) => sum + (/\p{M}|\u200d/u.test(char) ? 0 : WIDE.test(char) ? 2 : 1),
    0,
  );
}

/** A watch may meet cells that are wider than its first table: one space is always left. */
const pad = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(1, width - displayWidth(text)));

/** Lays out rows under their headings; a watch goes on with the widths of its first table. */
export class TableLayout<T> {
  readonly #columns: readonly Column<T>[];
  readonly #style: TableStyle;
  readonly #widths: readonly number[];

  constructor(columns: readonly Column<T>[], items: readonly T[], style: TableStyle = {}) {
    this.#columns = columns;
    this.#style = style;
    this.#widths = columns.map(({ heading, cell }) =>
      Math.max(
        CELL_WIDTH_MIN,
        ...[heading, ...items.map(cell)].map((text) => displayWidth(text) + PADDING),
      ),
    );
  }

  #line(cells: readonly string[]): string {
    const text = cells.map((cell, i) => pad(cell, this.#widths[i] ?? 0)).join('');
    return this.#style.trailingSpaces === true ? text : text.trimEnd();
  }

  header(): string {
    const paint = this.#style.paint ?? plain;
    return `${paint('bold', this.#line(this.#columns.map(({ heading }) => heading)))}\n`;
  }

  row(item: T): string {
    return `${this.#line(this.#columns.map(({ cell }) => cell(item)))}\n`;
  }
}

/** The table ends with an empty line. */
export function renderTable<T>(
  columns: readonly Column<T>[],
  items: readonly T[],
  style: TableStyle = {},
): string {
  const layout = new TableLayout(columns, items, style);
  const header = style.headers === false ? '' : layout.header();
  return `${header}${items.map((item) => layout.row(item)).join('')}\n`;
}

const CUT_AT = 80;

/** Comma-joined, cut at 80 characters. */
export function joinCut(values: readonly string[]): string {
  const text = values.join(',');
  return text.length > CUT_AT ? `${text.slice(0, CUT_AT - 3)}...` : text;
}
