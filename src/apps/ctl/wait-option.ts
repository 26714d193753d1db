/** `--wait[=TIMEOUT]`: the verb ends when every live host enforces what it wrote. */
import { waitProgrammed } from '../../datastore/programmed.js';
import { parseDurationMs } from './duration.js';
import { Exit, type Session } from './session.js';

const TIMEOUT_DEFAULT_MS = 30_000;

/** `true` (bare --wait), '5', '5s', '250ms', '1m'; in milliseconds. */
export function parseTimeout(text: string | true): number {
  return text === true ? TIMEOUT_DEFAULT_MS : parseDurationMs(text, '--wait');
}

/** Prints how many hosts and how long; exit 1 on timeout, naming the hosts that lag and why. */
export async function waitInForce(
  session: Session,
  revision: string,
  timeoutMs: number,
): Promise<void> {
  const progress = session.progress();
  const report = await waitProgrammed(await session.store(), {
    revision,
    timeoutMs,
    signal: session.signal,
    onProgress: (done, total) => progress.update('waiting for hosts', done, total),
  });
  progress.end();
  if (report.lagging.length === 0) {
    if (report.hosts === 0) session.err('No live agent: nothing enforces this yet');
    else
      session.done(`In force on ${report.hosts} host(s) after ${report.elapsedMs.toFixed(1)} ms`);
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
