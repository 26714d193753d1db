/** `--wait[=TIMEOUT]`: the verb ends when every live host enforces what it wrote. */
import { CodedError } from '../../base/error.js';
import { waitProgrammed } from '../../datastore/programmed.js';
import type { Session } from './session.js';
import { Exit } from './session.js';

const TIMEOUT_DEFAULT_MS = 30_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `true` (bare --wait), '5', '5s', '250ms', '1m'; in milliseconds. */
export function parseTimeout(text: string | true): number {
  if (text === true) return TIMEOUT_DEFAULT_MS;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (!match) {
    throw new CodedError('ERR_TIMEOUT', `--wait: "${text}" is not a duration such as 10s or 250ms`);
  }
  return Number(match[1]) * (UNITS[match[2] ?? 's'] ?? 1000);
}

/** Prints how many hosts and how long; exit 1 on timeout, naming the hosts that lag and why. */
export async function waitInForce(
  session: Session,
  revision: string,
  timeoutMs: number,
): Promise<void> {
  const report = await waitProgrammed(await session.store(), {
    revision,
    timeoutMs,
    signal: session.signal,
    onProgress: (done, total) => {
      if (session.interactive) process.stderr.write(`\rwaiting for hosts: ${done}/${total} `);
    },
  });
  if (session.interactive) process.stderr.write('\r\x1b[K');
  if (report.lagging.length === 0) {
    if (report.hosts === 0) session.err('No live agent: nothing enforces this yet');
    else
      session.out(`In force on ${report.hosts} host(s) after ${report.elapsedMs.toFixed(1)} ms\n`);
    return;
  }
  session.err(
    `Timed out after ${(report.elapsedMs / 1000).toFixed(1)} s: ${report.lagging.length} of ${report.hosts} host(s) lag`,
  );
  for (const host of report.lagging) {
    const why = host.errors[0] === undefined ? '' : `: ${host.errors[0]}`;
    session.err(
      `  ${host.host}: programmed revision ${host.revisionProgrammed}, want ${revision}${why}`,
    );
  }
  throw new Exit(1);
}
