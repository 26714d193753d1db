/** What this host itself says of the configuration: environment and file (spec/config.md 3.1, 3.2). */
import { readFileSync } from 'node:fs';
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import { parseIni } from '../../model/configuration/ini.js';
import type { Source, SourceText } from '../../model/configuration/resolve.js';
import { agentParameter } from './parameters.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface LocalSources {
  /** Highest first. */
  readonly sources: readonly Source[];
  readonly warnings: readonly string[];
}

/** Names that other parts of Margay, or of Calico's start-up, read. */
const NOT_PARAMETERS: ReadonlySet<string> = new Set(['DEBUG', 'EDITOR', 'EARLYLOGSEVERITYSCREEN']);

const PREFIXES = ['felix_', 'margay_'] as const;

/** The parameter that a variable sets, in lower case; undefined when it sets none. */
function parameterOf(variable: string): string | undefined {
  const prefix = PREFIXES.find((one) => variable.toLowerCase().startsWith(one));
  const rest = variable.slice(prefix?.length ?? 0);
  // Parameters have no underscores: MARGAY_RUN_DIR and the like are something else.
  if (prefix === undefined || NOT_PARAMETERS.has(rest)) return undefined;
  if (prefix === 'margay_' && rest.includes('_')) return undefined;
  const own = prefix === 'margay_' ? agentParameter(`margay${rest}`) : undefined;
  return (own ?? agentParameter(rest))?.name.toLowerCase() ?? rest.toLowerCase();
}

/**
 * FELIX_* and MARGAY_*, prefix and name in any case; MARGAY_ wins, empty means unset.
 *
 * @throws CodedError ERR_CONFIG_VALUE when two spellings of one name are set.
 */
export function environmentSource(environment: Environment): LocalSources {
  const found = new Map<string, { readonly variable: string; readonly text: string }>();
  const warnings: string[] = [];
  for (const prefix of PREFIXES) {
    const own = new Map<string, string>();
    for (const [variable, text] of Object.entries(environment)) {
      if (!variable.toLowerCase().startsWith(prefix)) continue;
      const name = parameterOf(variable);
      if (name === undefined || text === undefined) continue;
      if (text === '') {
        warnings.push(`${variable} is empty and ignored: "none" switches something off`);
        continue;
      }
      const other = own.get(name);
      if (other !== undefined)
        throw new CodedError('ERR_CONFIG_VALUE', `${other} and ${variable} set the same parameter`);
      own.set(name, variable);
      found.set(name, { variable, text });
    }
  }
  const entries = new Map<string, SourceText>(
    [...found].map(([name, { variable, text }]) => [name, { text, where: variable }]),
  );
  return { sources: [{ name: 'environment variable', isLocal: true, entries }], warnings };
}

/** An absent file says nothing. @throws CodedError ERR_CONFIG_FILE when it cannot be read or is not ini */
export function fileSource(path: string): LocalSources {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { sources: [], warnings: [] };
    throw new CodedError('ERR_CONFIG_FILE', `${path}: ${errorMessage(error)}`);
  }
  const entries = new Map<string, SourceText>();
  const warnings: string[] = [];
  try {
    for (const { name, text: value, line } of parseIni(text)) {
      const key = agentParameter(name)?.name.toLowerCase() ?? name.toLowerCase();
      const where = `${path} line ${line}`;
      const before = entries.get(key);
      if (before !== undefined)
        warnings.push(`${where}: ${name} is set again, after ${before.where}`);
      if (value !== '') entries.set(key, { text: value, where });
    }
  } catch (error) {
    throw new CodedError('ERR_CONFIG_FILE', `${path}: ${errorMessage(error)}`);
  }
  return { sources: [{ name: 'config file', isLocal: true, entries }], warnings };
}

export function localSources(environment: Environment, file: string): LocalSources {
  const [first, second] = [environmentSource(environment), fileSource(file)];
  return {
    sources: [...first.sources, ...second.sources],
    warnings: [...first.warnings, ...second.warnings],
  };
}
