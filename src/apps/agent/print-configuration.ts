/** `margay agent --print-config`: every value with the source it comes from (spec/config.md 6.3). */
import type { Configuration, EffectiveValue } from '../../model/configuration/resolve.js';

const SECRET = /password|token$/i;

const shown = ({ definition, text }: EffectiveValue): string =>
  SECRET.test(definition.name) && text !== '' ? '***' : text;

export interface PrintOptions {
  readonly json: boolean;
  /** Also parameters that have their default. */
  readonly all: boolean;
}

export function printConfiguration(configuration: Configuration, options: PrintOptions): string {
  const values = [...configuration.values.values()]
    .filter(({ source }) => options.all || source !== 'default')
    .sort((a, b) => (a.definition.name < b.definition.name ? -1 : 1));
  if (options.json) {
    const parameters = values.map((value) => ({
      name: value.definition.name,
      value: shown(value),
      source: value.source,
      default: value.definition.defaultText,
      hidden: value.hidden,
    }));
    const { warnings, failures } = configuration;
    return `${JSON.stringify({ parameters, warnings, failures }, null, 2)}\n`;
  }
  const rows = [
    ['NAME', 'VALUE', 'SOURCE', 'DEFAULT'],
    ...values.map((value) => [
      value.definition.name,
      shown(value) || '-',
      value.source,
      value.definition.defaultText || '-',
    ]),
  ];
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd((widths[i] ?? 0) + 3))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}
