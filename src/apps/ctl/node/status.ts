/** `margay node status`: the agent of this host, and whom its BIRD talks to (spec/cli.md 9.2). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, errorMessage } from '../../../base/error.js';
import {
  askBird,
  type Session as BgpSession,
  sessionsOf,
} from '../../../dataplane/routing/bird/control.js';
import { Exit, type Session } from '../session.js';

const TYPES = { Mesh: 'node-to-node mesh', Node: 'node specific', Global: 'global' } as const;
const HEADINGS = ['PEER ADDRESS', 'PEER TYPE', 'STATE', 'SINCE', 'INFO'] as const;

export const runDir = (): string => process.env['MARGAY_RUN_DIR'] || '/run/margay';

/** Process number of the agent that has the run directory; null: none runs. */
export function agentPid(): number | null {
  try {
    const pid = Number(readFileSync(join(runDir(), 'agent.pid'), 'utf8').split(/\s/)[0]);
    process.kill(pid, 0);
    return pid;
  } catch {
    return null;
  }
}

export async function showNodeStatus(session: Session, output: string): Promise<void> {
  if (output !== 'table' && output !== 'json') {
    throw new CodedError(
      'ERR_OUTPUT_FORMAT',
      `unrecognized output format '${output}', expected table or json`,
    );
  }
  const pid = agentPid();
  const { sessions, problem } = await bgpSessions();
  if (output === 'json') {
    const status = { running: pid !== null, pid, bgp: sessions, bgpProblem: problem };
    session.out(`${JSON.stringify(status, null, 2)}\n`);
  } else {
    session.out(`Calico process is ${pid === null ? 'not ' : ''}running.\n`);
    if (pid !== null) session.out(describe(sessions, problem));
  }
  if (pid === null) throw new Exit(1);
}

interface Sessions {
  readonly sessions: readonly BgpSession[] | null;
  readonly problem: string | null;
}

async function bgpSessions(): Promise<Sessions> {
  try {
    const replies = await askBird(join(runDir(), 'bird', 'bird.ctl'), 'show protocols');
    return { sessions: sessionsOf(replies), problem: null };
  } catch (error) {
    return { sessions: null, problem: errorMessage(error) };
  }
}

function describe(sessions: readonly BgpSession[] | null, problem: string | null): string {
  if (sessions === null) {
    const isAbsent = problem?.includes('ENOENT') === true;
    return isAbsent
      ? '\nNone of the BGP backend processes (BIRD or GoBGP) are running.\n'
      : `\nError querying BIRD: ${problem}\n`;
  }
  return ([4, 6] as const)
    .map((family) => {
      const own = sessions.filter(({ ip }) => ip.includes(':') === (family === 6));
      const body = own.length === 0 ? `No IPv${family} peers found.\n` : table(own);
      return `\nIPv${family} BGP status\n${body}`;
    })
    .join('');
}

/** Borders and centred headings, as calicoctl draws them. */
function table(sessions: readonly BgpSession[]): string {
  const rows = sessions.map(({ ip, kind, state, since, info }) => [
    ...[ip, TYPES[kind], state, since, info],
  ]);
  const widths = HEADINGS.map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const line = (cells: readonly string[]): string =>
    `|${cells.map((cell, i) => ` ${cell.padEnd(widths[i] ?? 0)} `).join('|')}|`;
  const centred = HEADINGS.map((heading, i) => {
    const room = (widths[i] ?? 0) - heading.length;
    return `${' '.repeat(Math.floor(room / 2))}${heading}`;
  });
  return `${[rule, line(centred), rule, ...rows.map(line), rule].join('\n')}\n`;
}
