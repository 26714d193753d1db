/** `margay doctor`: what would keep this host from working, each finding with its fix. Changes nothing. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../../base/error.js';
import { runDirectory } from '../agent-socket.js';
import { type Column, renderTable } from '../output/table.js';
import { Exit, type Session } from '../session.js';
import * as conflicts from './conflicts.js';
import type { Finding, Level } from './finding.js';
import * as kernel from './kernel.js';
import { store } from './store.js';

async function examine(session: Session): Promise<readonly Finding[]> {
  const isRunning = existsSync(join(runDirectory(process.env), 'agent.pid'));
  return [
    ...kernel.features(),
    kernel.forwarding(),
    kernel.reversePath(),
    kernel.mtu(),
    kernel.limits(),
    conflicts.cniConfiguration(),
    conflicts.otherAgents(),
    conflicts.foreignInterfaces(),
    await conflicts.leftoverRules(session.signal),
    conflicts.ports(isRunning),
    ...(await store(session)),
  ];
}

const STYLES = { OK: 'green', WARN: 'yellow', FAIL: 'red' } as const satisfies Record<
  Level,
  string
>;

function table(session: Session, findings: readonly Finding[]): string {
  const columns: readonly Column<Finding>[] = [
    { heading: 'RESULT', cell: ({ level }) => level },
    { heading: 'CHECK', cell: ({ check }) => check },
    { heading: 'FOUND', cell: ({ found }) => found },
  ];
  const text = renderTable(columns, findings, { paint: session.paint });
  return text.replace(/^(OK|WARN|FAIL)/gm, (level) => session.paint(STYLES[level as Level], level));
}

export async function doctor(session: Session, output: string): Promise<void> {
  if (output !== 'ps' && output !== 'json')
    throw new CodedError(
      'ERR_OUTPUT_FORMAT',
      `unrecognized output format '${output}', expected ps or json`,
    );
  const findings = await examine(session);
  const failed = findings.filter(({ level }) => level === 'FAIL').length;
  if (output === 'json') session.out(`${JSON.stringify({ findings }, null, 2)}\n`);
  else {
    session.out(table(session, findings));
    for (const { check, level, fix } of findings)
      if (fix !== undefined) session.out(`${level} ${check}: ${fix}\n`);
    const warned = findings.filter(({ level }) => level === 'WARN').length;
    session.out(`${findings.length} checks: ${warned} warnings, ${failed} failures\n`);
  }
  if (failed > 0) throw new Exit(1);
}
