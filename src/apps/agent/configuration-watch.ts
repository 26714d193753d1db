/**
 * Follows changes of the configuration while the agent runs (spec/config.md 6.2): collects them for 200 ms, applies
 * what can be applied live, and asks for a restart for the rest. A change that makes no sense changes nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../base/clock.js';
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { Configuration, Source } from '../../model/configuration/resolve.js';
import type { ResourceUpdate } from '../../model/update.js';
import {
  ACTED_ON,
  type ParameterValues,
  type ParsedParameters,
  parseSources,
} from './parameters.js';
import type { StoredConfiguration } from './stored-configuration.js';

/** The agent ends with exit status 129: the supervisor starts it again with the new configuration. */
export class ConfigurationRestart extends Error {}

const COLLECT_MS = 200;
const RESTART_AFTER_MS = 2_000;
/** Five restarts within a minute: the next one waits until changes have stopped for so long. */
const STORM = { starts: 5, withinMs: 60_000, delayMs: 30_000 };
const RETRY_LIVE_MS = 10_000;
const HISTORY_FILE = 'configuration-restarts';
const SECRET = /password|token|key$/i;

export interface ConfigurationWatchOptions {
  readonly parsed: ParsedParameters;
  readonly stored: StoredConfiguration;
  readonly local: readonly Source[];
  readonly log: Log;
  /** Remembers restarts, so that storms are seen. */
  readonly runDir: string;
  /** Names of parameters that `apply` takes into the running process. */
  readonly live: ReadonlySet<string>;
  readonly apply: (values: ParameterValues) => Promise<void>;
  readonly restart: (reason: ConfigurationRestart) => void;
  readonly clock?: Clock;
}

interface Change {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

const masked = ({ name, from, to }: Change): Change =>
  SECRET.test(name) ? { name, from: '***', to: '***' } : { name, from, to };

/** What differs between two configurations. */
export function changesBetween(before: Configuration, after: Configuration): readonly Change[] {
  return [...after.values.values()].flatMap(({ definition: { name }, text }) => {
    const from = before.values.get(name)?.text ?? '';
    return from === text ? [] : [{ name, from, to: text }];
  });
}

export class ConfigurationWatch implements Disposable {
  readonly #options: ConfigurationWatchOptions;
  readonly #clock: Clock;
  #local: readonly Source[];
  #current: ParsedParameters;
  #timer: Disposable | undefined;
  #restart: Disposable | undefined;
  #rejected: string | undefined;

  constructor(options: ConfigurationWatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#local = options.local;
    this.#current = options.parsed;
  }

  /** Why the stored configuration is not in effect; undefined when it is. */
  get rejected(): string | undefined {
    return this.#rejected;
  }

  onUpdate({ key, value }: ResourceUpdate): void {
    if (this.#options.stored.onUpdate(key, value)) this.#collect();
  }

  /** After SIGHUP: the file may say something else now. */
  onLocalSources(local: readonly Source[]): void {
    this.#local = local;
    this.#collect();
  }

  #collect(): void {
    this.#timer ??= this.#clock.after(COLLECT_MS, () => {
      this.#timer = undefined;
      this.#evaluate();
    });
  }

  #evaluate(): void {
    const { stored, log } = this.#options;
    const { sources } = stored.sources();
    let next: ParsedParameters;
    try {
      const [environment, ...file] = this.#local;
      next = parseSources([...(environment ? [environment] : []), ...file, ...sources]);
    } catch (error) {
      this.#rejected = errorMessage(error);
      log.error({ reason: this.#rejected }, 'configuration rejected, the last good one stays');
      return;
    }
    this.#rejected = undefined;
    const changes = changesBetween(this.#current.configuration, next.configuration);
    if (changes.length === 0) return;
    for (const warning of next.warnings) log.warn({ warning }, 'configuration warning');
    const restarts = changes.filter(({ name }) => this.#needsRestart(name, next));
    log.info(
      { changes: changes.map(masked), restart: restarts.length > 0 },
      'configuration changed',
    );
    if (restarts.length > 0) this.#askForRestart(restarts);
    else this.#applyLive(next);
  }

  #needsRestart(name: string, { configuration }: ParsedParameters): boolean {
    if (this.#options.live.has(name)) return false;
    const definition = configuration.values.get(name)?.definition;
    return ACTED_ON.has(name) || (definition?.use === 1 && !definition.isLive);
  }

  #applyLive(next: ParsedParameters): void {
    this.#current = next;
    const { log } = this.#options;
    this.#options.apply(next.values).catch((error: unknown) => {
      log.error({ reason: errorMessage(error) }, 'live change failed, tried again in 10 s');
      this.#timer ??= this.#clock.after(RETRY_LIVE_MS, () => {
        this.#timer = undefined;
        if (this.#current === next) this.#applyLive(next);
      });
    });
  }

  /** Counted anew with each change, so that a burst of them ends in one restart. */
  #askForRestart(changes: readonly Change[]): void {
    const names = changes.map(({ name }) => name).join(', ');
    const history = this.#history();
    const isStorm = history.length >= STORM.starts;
    this.#restart?.[Symbol.dispose]();
    this.#restart = this.#clock.after(isStorm ? STORM.delayMs : RESTART_AFTER_MS, () => {
      const file = join(this.#options.runDir, HISTORY_FILE);
      writeFileSync(file, [...history, this.#clock.now()].join('\n'), { mode: 0o600 });
      this.#options.restart(new ConfigurationRestart(`changed: ${names}`));
    });
  }

  /** When this agent was last restarted for its configuration, within the time that counts. */
  #history(): readonly number[] {
    try {
      return readFileSync(join(this.#options.runDir, HISTORY_FILE), 'utf8')
        .split('\n')
        .map(Number)
        .filter((time) => time > this.#clock.now() - STORM.withinMs);
    } catch {
      return [];
    }
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#restart?.[Symbol.dispose]();
  }
}
