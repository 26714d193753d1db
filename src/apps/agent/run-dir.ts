/** The run directory: one agent each, made visible by a pid file. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../base/error.js';

/** A pid is reused one day, so it is remembered with the time its process started (proc(5), field 22). */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

export class RunDir implements Disposable {
  readonly path: string;
  readonly #pidFile: string;

  private constructor(path: string) {
    this.path = path;
    this.#pidFile = join(path, 'agent.pid');
  }

  /**
   * Creates the directory (0700) if need be and takes it.
   *
   * @throws CodedError ERR_RUN_DIR_TAKEN when a live agent holds it.
   */
  static take(path: string): RunDir {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const dir = new RunDir(path);
    const holder = dir.#holder();
    if (holder !== null) {
      throw new CodedError(
        'ERR_RUN_DIR_TAKEN',
        `${path}: an agent is running already (pid ${holder})`,
      );
    }
    writeFileSync(dir.#pidFile, `${process.pid} ${startTime(process.pid)}\n`, { mode: 0o600 });
    return dir;
  }

  #holder(): number | null {
    try {
      const [pid, started] = readFileSync(this.#pidFile, 'utf8').trim().split(' ');
      const alive = startTime(Number(pid));
      return alive !== null && alive === started && Number(pid) !== process.pid
        ? Number(pid)
        : null;
    } catch {
      return null;
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#pidFile, { force: true });
  }
}
