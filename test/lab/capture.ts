/** What travels between hosts, as tcpdump sees it on an interface of the underlay. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { netnsPath } from './lab-run.js';

export class Capture {
  readonly #process: ChildProcessByStdio<null, Readable, Readable>;
  readonly #lines: string[] = [];

  private constructor(netns: string, interfaceName: string, filter: string) {
    const options = ['-i', interfaceName, '-n', '-t', '-l', '--immediate-mode', filter];
    const argv = [`--net=${netnsPath(netns)}`, 'tcpdump', ...options];
    this.#process = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#lines.push(line));
  }

  /** Resolves once packets are seen. */
  static async start(netns: string, interfaceName: string, filter: string): Promise<Capture> {
    const capture = new Capture(netns, interfaceName, filter);
    for await (const line of createInterface({ input: capture.#process.stderr })) {
      if (line.startsWith('listening on')) break;
    }
    return capture;
  }

  /** A line for each packet: 'IP 172.31.0.1 > 172.31.0.2: IP 10.65.0.1.4000 > 10.65.0.2.80: ...'. */
  async stop(): Promise<readonly string[]> {
    const closed = once(this.#process, 'close');
    this.#process.kill('SIGTERM');
    await closed;
    return this.#lines;
  }
}
