/**
 * Every parameter of the agent (spec/config.md 7 and 8), as data: what parses, what explains, what the reference page
 * is made of. Names are compared without regard to case.
 */
import { closest } from '../api/suggest.js';
import { CONNECTION_ROWS } from './rows-connection.js';
import { DATAPLANE_ROWS } from './rows-dataplane.js';
import { EBPF_ROWS } from './rows-ebpf.js';
import { OTHER_ROWS } from './rows-other.js';

export interface ParameterDefinition {
  /** As in a configuration file; the environment variable is FELIX_ and this in capitals. */
  readonly name: string;
  readonly group: string;
  /** In the spec of a FelixConfiguration. */
  readonly field: string | undefined;
  /** As text; '' is unset. */
  readonly defaultText: string;
  /** For example 'bool', 'seconds', 'one of A B': see value-type.ts. */
  readonly type: string;
  /** F: a value that cannot be parsed fails the configuration; otherwise the default is used. */
  readonly isFatal: boolean;
  /** Z: "none" is not allowed. */
  readonly isNonZero: boolean;
  /** L: environment and file only, not the datastore. */
  readonly isLocal: boolean;
  /** 1: implemented. 2: comes with the feature it belongs to. 0: parsed and ignored. */
  readonly use: 0 | 1 | 2;
  /** A change is applied to the running process; otherwise it needs a restart. */
  readonly isLive: boolean;
  readonly text: string;
}

/** Columns: name, field, default, type, flags, use, apply, meaning; '# ' starts a group. */
function parseRows(rows: string): readonly ParameterDefinition[] {
  let group = '';
  return rows
    .trim()
    .split('\n')
    .flatMap((row) => {
      if (row.startsWith('# ')) {
        group = row.slice(2);
        return [];
      }
      const [name = '', field, defaultText = '-', type = '', flags = '', use, apply, ...text] =
        row.split(' | ');
      return {
        name,
        group,
        field: field === '-' ? undefined : field,
        defaultText: defaultText === '-' ? '' : defaultText,
        type,
        isFatal: flags.includes('F'),
        isNonZero: flags.includes('Z'),
        isLocal: flags.includes('L'),
        use: Number(use) as 0 | 1 | 2,
        isLive: apply === 'L',
        text: text.join(' | '),
      };
    });
}

/** In the order of the reference page. */
export const PARAMETER_DEFINITIONS: readonly ParameterDefinition[] = [
  CONNECTION_ROWS,
  DATAPLANE_ROWS,
  EBPF_ROWS,
  OTHER_ROWS,
].flatMap(parseRows);

/** Names that documentation of Calico prints, or that earlier versions of Margay had. */
const ALIASES: Readonly<Record<string, string>> = {
  routerefreshintervalsecs: 'RouteRefreshInterval',
  ipsetsrefreshintervalsecs: 'IpsetsRefreshInterval',
  reportinginterval: 'ReportingIntervalSecs',
  reportingttl: 'ReportingTTLSecs',
  dataplane: 'MargayDataplane',
};

const byName = new Map(PARAMETER_DEFINITIONS.map((one) => [one.name.toLowerCase(), one]));
const byField = new Map(
  PARAMETER_DEFINITIONS.flatMap((one) => (one.field === undefined ? [] : [[one.field, one]])),
);

/** In any case; aliases are understood. */
export function parameterNamed(name: string): ParameterDefinition | undefined {
  const key = name.toLowerCase();
  return byName.get(key) ?? byName.get((ALIASES[key] ?? '').toLowerCase());
}

/** By the field of a FelixConfiguration, exactly. */
export function parameterOfField(field: string): ParameterDefinition | undefined {
  return byField.get(field);
}

/** The parameter somebody probably meant. */
export function closestParameter(name: string): string | undefined {
  return closest(
    name,
    PARAMETER_DEFINITIONS.map((one) => one.name),
  );
}

export const environmentName = ({ name }: ParameterDefinition): string =>
  name.startsWith('Margay')
    ? `MARGAY_${name.slice('Margay'.length).toUpperCase()}`
    : `FELIX_${name.toUpperCase()}`;
