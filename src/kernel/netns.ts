/** Network namespaces by path, as /run/netns/x or /proc/N/ns/net. */
import { closeSync, openSync, statSync } from 'node:fs';
import { native } from './addon.js';

/** This thread's own. */
export const OWN_NETNS = '/proc/thread-self/ns/net';

/** Runs `body` in the namespace; synchronous, so that nothing else of this process can run there. */
export function inNetns<T>(path: string, body: () => T): T {
  return native().inNetns(path, body);
}

/** Identity of a namespace: equal for two paths to the same one. */
export function netnsId(path: string = OWN_NETNS): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/** A descriptor of a namespace, for messages that name one by descriptor. Closed when disposed of. */
export class NetnsHandle implements Disposable {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  static open(path: string): NetnsHandle {
    return new NetnsHandle(openSync(path, 'r'));
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }
}
