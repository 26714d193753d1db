/** From texts of several sources to one value for each parameter (spec/config.md 1, 5). Pure. */
import { closestParameter, type ParameterDefinition, parameterNamed } from './parameter-table.js';
import { parseValue, zeroText } from './value-type.js';

export interface SourceText {
  readonly text: string;
  /** 'FELIX_HEALTHPORT', 'felix.cfg line 3': for messages. */
  readonly where: string;
}

export interface Source {
  readonly name: string;
  /** Environment and file: local-only parameters count there alone. */
  readonly isLocal: boolean;
  /** By name in lower case. */
  readonly entries: ReadonlyMap<string, SourceText>;
}

export interface EffectiveValue {
  readonly definition: ParameterDefinition;
  /** In its normal form; '' is unset. */
  readonly text: string;
  /** Name of the source; 'default' when none has it. */
  readonly source: string;
  /** Lower sources that have it, too. */
  readonly hidden: readonly { readonly source: string; readonly text: string }[];
}

export interface Configuration {
  /** One for each known parameter, in the table's order. */
  readonly values: ReadonlyMap<string, EffectiveValue>;
  /** One line each: what was ignored or replaced. */
  readonly warnings: readonly string[];
  /** One line each. Not empty: the configuration as a whole is bad. */
  readonly failures: readonly string[];
}

export interface ResolveOptions {
  readonly definitions: readonly ParameterDefinition[];
  /** Highest first. */
  readonly sources: readonly Source[];
  /** Finds a definition by a name in any case; default: the table. */
  readonly lookUp?: (name: string) => ParameterDefinition | undefined;
}

type Parsed = { readonly text: string } | { readonly reason: string; readonly isFatal: boolean };

function parsed(definition: ParameterDefinition, text: string): Parsed {
  const { type, isFatal, isNonZero } = definition;
  if (text.toLowerCase() === 'none' && !type.split(' ').includes('none')) {
    if (isNonZero) return { reason: '"none" is not allowed', isFatal: true };
    return { text: zeroText(type) };
  }
  const result = parseValue(type, text);
  return 'ok' in result ? { text: result.ok } : { reason: `is not ${result.wanted}`, isFatal };
}

/** Collects what is wrong; with MargayConfigStrict everything is fatal. */
class Findings {
  readonly warnings: string[] = [];
  readonly failures: string[] = [];
  readonly #strict: boolean;

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  add(line: string, isFatal: boolean): void {
    (isFatal || this.#strict ? this.failures : this.warnings).push(line);
  }
}

const isStrict = (sources: readonly Source[]): boolean =>
  sources.some(({ isLocal, entries }) => {
    const text = entries.get('margayconfigstrict')?.text;
    return isLocal && text !== undefined && /^(true|1|yes|y|t|on)$/i.test(text);
  });

/** What the sources have for one parameter, highest first. */
function candidates(definition: ParameterDefinition, sources: readonly Indexed[]) {
  return sources.flatMap(({ source, byParameter }) => {
    const found = byParameter.get(definition.name);
    return found === undefined || (definition.isLocal && !source.isLocal)
      ? []
      : [{ source: source.name, ...found }];
  });
}

function effective(
  definition: ParameterDefinition,
  sources: readonly Indexed[],
  findings: Findings,
): EffectiveValue {
  const given = candidates(definition, sources).map((one) => {
    const result = parsed(definition, one.text);
    if ('text' in result) return { ...one, text: result.text };
    const shown = `failed to parse config parameter ${definition.name}; value "${one.text}": ${result.reason} (from ${one.source}, ${one.where})`;
    findings.add(result.isFatal ? shown : `${shown}; the default is used`, result.isFatal);
    return { ...one, text: definition.defaultText };
  });
  const [first, ...hidden] = given;
  return {
    definition,
    text: first?.text ?? definition.defaultText,
    source: first?.source ?? 'default',
    hidden: hidden.map(({ source, text }) => ({ source, text })),
  };
}

interface Indexed {
  readonly source: Source;
  readonly byParameter: ReadonlyMap<string, SourceText>;
}

function indexed(source: Source, options: ResolveOptions, findings: Findings): Indexed {
  const lookUp = options.lookUp ?? parameterNamed;
  const byParameter = new Map<string, SourceText>();
  for (const [name, entry] of source.entries) {
    const definition = lookUp(name);
    if (definition === undefined) {
      const near = closestParameter(name);
      const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
      findings.add(`${entry.where}: not a parameter of this version, ignored${hint}`, false);
    } else if (definition.isLocal && !source.isLocal) {
      findings.add(
        `${entry.where}: only the environment and the file can set this, ignored`,
        false,
      );
    } else byParameter.set(definition.name, entry);
  }
  return { source, byParameter };
}

const text = (values: ReadonlyMap<string, EffectiveValue>, name: string): string =>
  values.get(name)?.text ?? '';

/** Rules between parameters (spec/config.md 5.3) that hold whatever the kernel can do. */
function crossCheck(values: ReadonlyMap<string, EffectiveValue>, findings: Findings): void {
  const typha = ['TyphaKeyFile', 'TyphaCertFile', 'TyphaCAFile'].filter((name) =>
    text(values, name),
  );
  const named = text(values, 'TyphaCN') || text(values, 'TyphaURISAN');
  if ((typha.length > 0 || named) && !(typha.length === 3 && named))
    findings.add(
      'TyphaKeyFile, TyphaCertFile, TyphaCAFile and TyphaCN or TyphaURISAN: all or none',
      true,
    );
  for (const family of ['IPv4', 'IPv6']) {
    const [elevated, normal] = ['Elevated', 'Normal'].map((word) =>
      Number(text(values, `${family}${word}RoutePriority`)),
    );
    if ((elevated ?? 0) >= (normal ?? 0) && normal)
      findings.add(`${family}ElevatedRoutePriority ${elevated} is not below ${normal}`, false);
  }
  if (Number(text(values, 'ReportingTTLSecs')) <= Number(text(values, 'ReportingIntervalSecs')))
    findings.add(
      'ReportingTTLSecs is not above ReportingIntervalSecs: this host would flap',
      false,
    );
  if (
    values.get('RouteTableRange')?.source !== 'default' &&
    values.get('RouteTableRanges')?.source !== 'default'
  )
    findings.add('RouteTableRange is ignored: RouteTableRanges is set, too', false);
  if (text(values, 'UseInternalDataplaneDriver') === 'false')
    findings.add('UseInternalDataplaneDriver=false: there is no external dataplane driver', true);
}

export function resolve(options: ResolveOptions): Configuration {
  const findings = new Findings(isStrict(options.sources));
  const sources = options.sources.map((source) => indexed(source, options, findings));
  const values = new Map(
    options.definitions.map((definition) => [
      definition.name,
      effective(definition, sources, findings),
    ]),
  );
  crossCheck(values, findings);
  return { values, warnings: findings.warnings, failures: findings.failures };
}
