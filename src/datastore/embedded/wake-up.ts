/**
 * Tells other processes that something was committed: every committer overwrites one byte of a file that all
 * of them watch (inotify). Says only "look again", never what changed. Works across network and mount
 * namespaces, because it is an ordinary file. A slow poll stands behind it, for a committer killed between
 * its commit and the signal.
 */
import { closeSync, constants, type FSWatcher, openSync, watch, writeSync } from 'node:fs';

const POLL_MS = 1000;
/** When the machine has no inotify instance left for us. */
const POLL_WITHOUT_INOTIFY_MS = 20;
const SIGNAL = Buffer.from('!');

export class WakeUpFile {
  readonly #path: string;
  readonly #listeners = new Set<() => void>();
  #fd: number | null;
  #watcher: FSWatcher | null = null;
  #poll: NodeJS.Timeout | null = null;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  static open(path: string): WakeUpFile {
    return new WakeUpFile(path, openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
  }

  /** Wakes every listener of every process. Cannot fail the commit that was already made. */
  notify(): void {
    if (this.#fd === null) return;
    for (const listener of this.#listeners) listener();
    try {
      writeSync(this.#fd, SIGNAL, 0, SIGNAL.length, 0);
    } catch {
      // A full disk: the byte's block may not be there yet. The others' poll finds the commit.
    }
  }

  /** @returns stops the calls; idempotent. The last one to stop leaves no timer and no descriptor. */
  listen(listener: () => void): () => void {
    if (this.#fd === null) return () => undefined;
    // Wrapped, so that the same function given twice is two listeners.
    const own = (): void => listener();
    this.#listeners.add(own);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      if (this.#listeners.delete(own) && this.#listeners.size === 0) this.#stop();
    };
  }

  #start(): void {
    const wake = (): void => {
      for (const listener of this.#listeners) listener();
    };
    const poll = (periodMs: number): void => {
      if (this.#poll) clearInterval(this.#poll);
      this.#poll = setInterval(wake, periodMs);
    };
    poll(POLL_MS);
    try {
      this.#watcher = watch(this.#path, wake);
      this.#watcher.on('error', () => poll(POLL_WITHOUT_INOTIFY_MS));
    } catch {
      poll(POLL_WITHOUT_INOTIFY_MS);
    }
  }

  #stop(): void {
    this.#watcher?.close();
    this.#watcher = null;
    if (this.#poll) clearInterval(this.#poll);
    this.#poll = null;
  }

  /** Calls every listener one last time, then forgets them. */
  close(): void {
    if (this.#fd === null) return;
    closeSync(this.#fd);
    this.#fd = null;
    this.#stop();
    const last = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of last) listener();
  }
}
