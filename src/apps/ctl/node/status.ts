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
import { describeSessions } from './status-table.js';

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
    if (pid !== null) session.out(describeSessions(sessions, problem));
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
