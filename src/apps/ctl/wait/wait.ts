/** `margay wait`: until objects are as asked, told by the store's own watches; no polling. */
import { CodedError } from '../../../base/error.js';
import { Doorbell } from '../../../base/doorbell.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { formatKey } from '../../../model/update.js';
import { parseDurationMs } from '../duration.js';
import type { NamespaceFlags } from '../namespace.js';
import { Exit, type Session } from '../session.js';
import { namedTargets, type Target } from '../targets.js';
import { type Condition, parseCondition } from './condition.js';

export interface WaitFlags extends NamespaceFlags {
  readonly for?: string;
  readonly timeout: string;
}

const WEEK_MS = 7 * 86_400_000;

/** 0: look once; negative: a week. */
function timeoutOf(text: string): number {
  return text.startsWith('-') ? WEEK_MS : parseDurationMs(text, '--timeout');
}

interface Wanted extends Target {
  readonly condition: Condition;
}

/** The first thing that is not as asked. */
async function unmet(store: Datastore, wanted: readonly Wanted[]): Promise<string | undefined> {
  for (const { key, condition } of wanted) {
    const missing = await condition(store, key);
    if (missing !== undefined) return `${formatKey(key)}: ${missing}`;
  }
  return undefined;
}

/** Rings at every change of the store or of a host's status. */
async function listen(store: Datastore, bell: Doorbell, signal: AbortSignal): Promise<void> {
  store.watchHostStatus(() => bell.ring(), { signal });
  const { revision } = await store.list({ kind: 'ClusterInformation' });
  for await (const event of store.watch({ revision, signal })) if (event) bell.ring();
  throw new CodedError('ERR_WATCH', 'the datastore ended the watch');
}

async function untilMet(
  session: Session,
  wanted: readonly Wanted[],
  timeoutMs: number,
): Promise<string | undefined> {
  const store = await session.store();
  const stop = new AbortController();
  const signal = AbortSignal.any([session.signal, stop.signal]);
  const bell = new Doorbell();
  const timer = setTimeout(() => {
    stop.abort(new CodedError('ERR_TIMEOUT', 'time is up'));
    bell.ring();
  }, timeoutMs);
  const listening = listen(store, bell, signal);
  const failed = listening.then(
    () => undefined,
    (error: unknown) => {
      bell.ring();
      if (!signal.aborted) throw error;
    },
  );
  const progress = session.progress();
  try {
    for (;;) {
      const missing = await unmet(store, wanted);
      session.signal.throwIfAborted();
      if (missing === undefined || signal.aborted) return missing;
      progress.update(`waiting: ${missing}`);
      await Promise.race([bell.wait({ signal: session.signal }), failed]);
    }
  } finally {
    progress.end();
    clearTimeout(timer);
    stop.abort();
    await failed;
  }
}

export async function waitFor(
  session: Session,
  words: readonly string[],
  flags: WaitFlags,
): Promise<void> {
  const asked = flags.for;
  if (asked === undefined) throw new CodedError('ERR_USAGE', 'wait: give --for=CONDITION');
  const targets = namedTargets(words, flags);
  if (targets.length === 0) throw new CodedError('ERR_USAGE', 'wait: give KIND NAME...');
  const wanted = targets.map((target) => ({
    ...target,
    condition: parseCondition(asked, target.key.kind),
  }));
  const timeoutMs = timeoutOf(flags.timeout);
  const missing =
    timeoutMs === 0
      ? await unmet(await session.store(), wanted)
      : await untilMet(session, wanted, timeoutMs);
  if (missing !== undefined) {
    session.err(`Timed out after ${timeoutMs / 1000} s: ${missing}`);
    throw new Exit(1);
  }
  for (const { key } of targets) session.done(`${formatKey(key)}: condition met`);
}
