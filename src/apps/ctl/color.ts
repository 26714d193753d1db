/** When text is coloured, and how (spec/cli.md 13.2). Colour never carries the only information. */
import type { ColorChoice } from './global-options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Decided for each stream by itself. */
export function wantsColor(
  choice: ColorChoice,
  stream: { readonly isTTY?: boolean },
  environment: Environment,
): boolean {
  if (choice !== 'auto') return choice === 'always';
  if (environment['NO_COLOR']) return false;
  const forced = [environment['CLICOLOR_FORCE'], environment['FORCE_COLOR']];
  if (forced.some((value) => value && value !== '0')) return true;
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

const CODES = { bold: 1, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof CODES;

/** Styles text, or leaves it alone. Readable on light and dark backgrounds. */
export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_style, text) => text;

export function paintFor(enabled: boolean): Paint {
  return enabled ? (style, text) => `\x1b[${CODES[style]}m${text}\x1b[0m` : plain;
}
