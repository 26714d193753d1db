/** One long-lived `margay-load probe` inside a workload: asks whether something can be reached from there. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { LOAD_TOOL } from './load-tool.js';
import { netnsPath } from './lab-run.js';

export type Protocol = 'tcp' | 'udp' | 'icmp';
export type Outcome = 'open' | 'refused' | 'timeout' | 'unreachable';

export interface ProbeTarget {
  readonly protocol: Protocol;
  readonly address: string;
  /** Ignored for icmp. */
  readonly port: number;
  readonly timeoutMs: number;
}

export interface ProbeResult {
  readonly outcome: Outcome;
  readonly microseconds: number;
}

export class Prober implements Disposable {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<string, (result: ProbeResult) => void>();
  #next = 0;

  constructor(netns: string) {
    this.#process = spawn('nsenter', [`--net=${netnsPath(netns)}`, LOAD_TOOL, 'probe'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#onLine(line));
  }

  #onLine(line: string): void {
    const [id = '', outcome, microseconds] = line.split(' ');
    this.#waiting.get(id)?.({ outcome: outcome as Outcome, microseconds: Number(microseconds) });
    this.#waiting.delete(id);
  }

  /** A fresh socket each time: never part of an established flow. */
  probe(target: ProbeTarget): Promise<ProbeResult> {
    const id = String(this.#next++);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      const { protocol, address, port, timeoutMs } = target;
      this.#process.stdin.write(`${id} ${protocol} ${address} ${port} ${timeoutMs}\n`);
    });
  }

  [Symbol.dispose](): void {
    this.#process.kill('SIGKILL');
  }
}
