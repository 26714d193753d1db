/** Waiting until every live host has a revision in its kernel: what `--wait` means. */
import type { Datastore, HostStatus } from './datastore.js';

export interface ProgrammedReport {
  readonly hosts: number;
  readonly elapsedMs: number;
  /** Hosts that had not programmed the revision when time ran out; empty on success. */
  readonly lagging: readonly HostStatus[];
}

export interface WaitOptions {
  readonly revision: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Resolves when all live hosts report `revision` or newer as programmed, or when the time is up.
 * A host whose lease runs out while we wait no longer counts.
 */
export async function waitProgrammed(
  store: Datastore,
  options: WaitOptions,
): Promise<ProgrammedReport> {
  const started = performance.now();
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  let wake: () => void = () => undefined;
  let changed = true;
  store.watchHostStatus(
    () => {
      changed = true;
      wake();
    },
    { signal },
  );
  // Leases run out in silence: look again now and then although nobody called.
  const lookAgain = setInterval(() => {
    changed = true;
    wake();
  }, 500);
  const onAbort = (): void => wake();
  options.signal.addEventListener('abort', onAbort);
  const timer = setTimeout(() => wake(), options.timeoutMs);
  try {
    for (;;) {
      options.signal.throwIfAborted();
      changed = false;
      const hosts = await store.listHostStatus();
      const lagging = hosts.filter(
        (host) => store.compareRevisions(host.revisionProgrammed, options.revision) < 0,
      );
      const elapsedMs = performance.now() - started;
      options.onProgress?.(hosts.length - lagging.length, hosts.length);
      if (lagging.length === 0 || elapsedMs >= options.timeoutMs) {
        return { hosts: hosts.length, elapsedMs, lagging };
      }
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stop.abort();
    clearInterval(lookAgain);
    clearTimeout(timer);
    options.signal.removeEventListener('abort', onAbort);
  }
}
