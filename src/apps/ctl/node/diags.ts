/** `margay node diags`: what commands say of this host, and its logs, in one archive (spec/node.md 16). */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError, runCommand } from '../../../kernel/command.js';
import type { Session } from '../session.js';
import { runDir } from './status.js';

export interface DiagsOptions {
  readonly logDir: string;
  readonly output?: string;
}

/** File in the archive, and the command whose output it holds. */
const COMMANDS: readonly (readonly [file: string, ...argv: [string, ...string[]]])[] = [
  ['date', 'date'],
  ['sockets', 'ss', '-a', '-n'],
  ['ipv4_route', 'ip', '-4', 'route', 'show', 'table', 'all'],
  ['ipv6_route', 'ip', '-6', 'route', 'show', 'table', 'all'],
  ['ipv4_addr', 'ip', '-4', 'addr'],
  ['ipv6_addr', 'ip', '-6', 'addr'],
  ['rules', 'ip', 'rule'],
  ['neighbours', 'ip', 'neigh'],
  ['links', 'ip', '-d', 'link'],
  ['ipv4_tables', 'iptables-save', '-c'],
  ['ipv6_tables', 'ip6tables-save', '-c'],
  ['nft_ruleset', 'nft', '-n', '-a', 'list', 'ruleset'],
  ['ipsets', 'ipset', 'list'],
  ['bpf_links', 'bpftool', 'link'],
  ['bpf_programs', 'bpftool', 'prog'],
  ['journalctl_margay', 'journalctl', '-u', 'margay.service', '--no-pager'],
];
const LOG_BYTES_MAX = 64 << 20;

export async function collectDiags(session: Session, options: DiagsOptions): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'calico'));
  const directory = join(base, 'diagnostics');
  mkdirSync(directory);
  writeFileSync(join(directory, 'hostname'), `${hostname()}\n`);
  const birdc = ['birdc', '-s', join(runDir(), 'bird', 'bird.ctl')] as const;
  for (const [file, ...argv] of [
    ...COMMANDS,
    ['bgp_protocols', ...birdc, 'show', 'protocols', 'all'] as const,
    ['bgp_routes', ...birdc, 'show', 'route'] as const,
  ]) {
    writeFileSync(join(directory, file), await outputOf(session, argv as [string, ...string[]]));
  }
  copyLogs(options.logDir, join(directory, 'logs'));
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_');
  const path = options.output ?? join(base, `diags-${stamp}.tar.gz`);
  await runCommand({ argv: ['tar', '-C', base, '-czf', path, 'diagnostics'] });
  session.out(`Diags saved to ${path}\n`);
}

/** What cannot be asked is said, and the rest goes on. */
async function outputOf(session: Session, argv: [string, ...string[]]): Promise<string> {
  try {
    const { stdout, stderr } = await runCommand({ argv, signal: session.signal });
    return stdout + stderr;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    session.out(`Failed to run command: ${argv.join(' ')}\n`);
    return `${error.message}\n`;
  }
}

function copyLogs(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(to);
  for (const entry of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    const path = join(from, entry);
    const { size } = statSync(path);
    if (statSync(path).isFile() && size <= LOG_BYTES_MAX) {
      copyFileSync(path, join(to, entry.replaceAll('/', '_')));
    }
  }
}
