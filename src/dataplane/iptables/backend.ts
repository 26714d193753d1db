/** The programs that change and read the tables: those of the legacy tables, or those of nf_tables. */
import { existsSync, readFileSync } from 'node:fs';
import { CodedError, errorMessage } from '../../base/error.js';
import type { IpFamily } from '../../model/desired.js';
import { findProgram } from '../../kernel/features.js';
import { CommandError, runCommand } from '../../kernel/command.js';
import { CHAIN_PREFIX } from './chains.js';
import { type TableName, TABLES } from './table.js';

export type BackendName = 'legacy' | 'nft';

/** For the lock that all users of iptables share: longer than anybody's change takes. */
const LOCK_WAIT_SECONDS = 10;
const OUTPUT_BYTES_MAX = 256 << 20;
/** Once it has the lock; ten thousand rules take about a second. */
const RESTORE_TIMEOUT_MS = 60_000;

export class IptablesBackend {
  readonly name: BackendName;
  readonly #lockWaitSeconds: number;

  /** `lockWaitSeconds`: whole ones; how long another program may hold the lock of the legacy tables before we give up. */
  constructor(name: BackendName, options: { readonly lockWaitSeconds?: number } = {}) {
    this.name = name;
    this.#lockWaitSeconds = options.lockWaitSeconds ?? LOCK_WAIT_SECONDS;
  }

  /** What iptables-save says of one table; '' for one that nobody has used yet. */
  async save(family: IpFamily, table: TableName): Promise<string> {
    if (this.name === 'legacy' && !isLegacyTableInUse(family, table)) return '';
    const argv = [this.#program(family, 'save'), '-t', table] as const;
    const { stdout } = await runCommand({ argv, outputBytesMax: OUTPUT_BYTES_MAX });
    return stdout;
  }

  /** One transaction per table of the script, whole or not at all. @throws CommandError with the program's words. */
  async restore(family: IpFamily, script: string): Promise<void> {
    const seconds = this.#lockWaitSeconds;
    const wait = this.name === 'legacy' ? [`--wait=${seconds}`] : [];
    const argv = [this.#program(family, 'restore'), '--noflush', ...wait] as const;
    const timeoutMs = RESTORE_TIMEOUT_MS + seconds * 1000;
    try {
      await runCommand({ argv, stdin: script, timeoutMs });
    } catch (error) {
      throw withRefusedLine(error, script);
    }
  }

  #program(family: IpFamily, what: 'save' | 'restore'): string {
    return `ip${family === 6 ? '6' : ''}tables-${this.name}-${what}`;
  }
}

/** 'line 11 failed', or 'line 11: RULE_APPEND failed': says the line, too, which nobody else has. */
function withRefusedLine(error: unknown, script: string): unknown {
  const number = /line:? (\d+)/.exec(error instanceof CommandError ? error.stderr : '')?.[1];
  const line = number === undefined ? undefined : script.split('\n')[Number(number) - 1];
  if (line === undefined) return error;
  const message = `${errorMessage(error)}; line ${number} is "${line}"`;
  return new CodedError('ERR_DATAPLANE', message, { cause: error });
}

/** Reading a legacy table that nobody uses would put it into the path of every packet. */
function isLegacyTableInUse(family: IpFamily, table: TableName): boolean {
  const path = `/proc/thread-self/net/ip${family === 6 ? '6' : ''}_tables_names`;
  if (!existsSync(path)) return false;
  return readFileSync(path, 'utf8').split('\n').includes(table);
}

/** Both its programs are there. */
export const isBackendInstalled = (name: BackendName): boolean =>
  findProgram(`iptables-${name}-restore`) !== null &&
  findProgram(`ip6tables-${name}-restore`) !== null;

/**
 * The backend that others on this host use already: of the two the one that holds more rules, so that ours are in the
 * same tables; at a tie, what the plain name `iptables` stands for. Reading changes nothing.
 *
 * @throws CodedError ERR_DATAPLANE when neither is installed.
 */
export async function detectBackend(): Promise<{
  readonly name: BackendName;
  readonly reason: string;
}> {
  const installed = (['nft', 'legacy'] as const).filter(isBackendInstalled);
  const [first, second] = installed;
  if (first === undefined) {
    const message = 'the iptables dataplane needs iptables-nft-restore or iptables-legacy-restore';
    throw new CodedError('ERR_DATAPLANE', `${message}: neither is installed`);
  }
  if (second === undefined) return { name: first, reason: 'the only one installed' };
  const counts = { nft: await countRules('nft'), legacy: await countRules('legacy') };
  if (counts.nft !== counts.legacy) {
    const name = counts.nft > counts.legacy ? 'nft' : 'legacy';
    return { name, reason: `others have ${counts[name]} rules there` };
  }
  const { stdout } = await runCommand({ argv: ['iptables', '--version'] });
  const name = stdout.includes('nf_tables') ? 'nft' : 'legacy';
  return { name, reason: 'what iptables stands for here' };
}

/** Rules of others, of both families. */
async function countRules(name: BackendName): Promise<number> {
  const backend = new IptablesBackend(name);
  let count = 0;
  for (const family of [4, 6] as const) {
    for (const table of TABLES) {
      const lines = (await backend.save(family, table)).split('\n');
      count += lines.filter(
        (line) => line.startsWith('-A ') && !line.includes(CHAIN_PREFIX),
      ).length;
    }
  }
  return count;
}
