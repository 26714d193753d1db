/**
 * Traffic whose every packet is accounted for: what policy allows and what it denies, all the time, from one workload
 * to another. Loss in the tools' own sockets is told apart from loss on the way.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Lab } from './lab.js';
import { netnsPath } from './lab-run.js';
import { LOAD_TOOL } from './load-tool.js';

/** Workloads echo on the first (lab.ts); the sink has the other two. */
export const STORM_PORTS = { echo: 80, oneWay: 7001, denied: 7002 } as const;

interface Count {
  readonly got: number;
  readonly overflowed: number;
}

interface Attempts {
  readonly opened: number;
  readonly refused: number;
}

interface Sent {
  readonly echoed: Count & { readonly sent: number; readonly wrong: number };
  readonly oneWay: number;
  readonly denied: number;
  readonly packetsPerSecond: number;
  readonly sendErrors: number;
  readonly connections: number;
  readonly broken: number;
  readonly stuck: number;
  readonly retransmitted: number;
  readonly fresh: Attempts;
  readonly deniedFresh: Attempts;
  readonly seconds: number;
}

export interface StormReport {
  readonly packets: number;
  readonly packetsPerSecond: number;
  /** On the way: what the tools' own sockets had no room for is not in it. */
  readonly lost: number;
  readonly deniedArrived: number;
  readonly denied: number;
  readonly overflowed: number;
  readonly connections: number;
  /** TCP connections that were reset or went silent. */
  readonly broken: number;
  readonly fresh: Attempts;
  readonly deniedFresh: Attempts;
  readonly retransmitted: number;
  readonly seconds: number;
}

type Tool = ChildProcessByStdio<Writable, Readable, null>;

const start = (netns: string, args: readonly (string | number)[]): Tool =>
  spawn('nsenter', [`--net=${netnsPath(netns)}`, LOAD_TOOL, ...args.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });

/** Counts what reaches a workload, from however many storms. */
class Sink {
  readonly #tool: Tool;
  readonly #lines: AsyncIterator<string>;

  constructor(netns: string) {
    this.#tool = start(netns, ['sink', STORM_PORTS.oneWay, STORM_PORTS.denied]);
    this.#lines = createInterface({ input: this.#tool.stdout })[Symbol.asyncIterator]();
  }

  async ready(): Promise<void> {
    await this.#lines.next();
  }

  async counts(): Promise<{ readonly oneWay: Count; readonly denied: Count }> {
    this.#tool.stdin.write('\n');
    const { value } = await this.#lines.next();
    const counts = JSON.parse(value) as Readonly<Record<number, Count>>;
    const of = (port: number): Count => counts[port] ?? { got: 0, overflowed: 0 };
    return { oneWay: of(STORM_PORTS.oneWay), denied: of(STORM_PORTS.denied) };
  }

  /** Its ports are free when this resolves. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#tool.once('exit', resolve));
    this.#tool.stdin.end();
    await ended;
  }
}

export class Storm {
  readonly #sink: Sink;
  readonly #tool: Tool;
  readonly #lines: AsyncIterator<string>;

  private constructor(sink: Sink, tool: Tool) {
    this.#sink = sink;
    this.#tool = tool;
    this.#lines = createInterface({ input: tool.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when all connections are open and packets flow. */
  static async start(
    lab: Lab,
    plan: {
      readonly from: string;
      readonly to: string;
      readonly packetsPerSecond: number;
      readonly connections: number;
    },
  ): Promise<Storm> {
    const [from, to] = [lab.workload(plan.from), lab.workload(plan.to)];
    const sink = new Sink(to.netns);
    await sink.ready();
    const { echo, oneWay, denied } = STORM_PORTS;
    const load = [plan.packetsPerSecond, plan.connections];
    const storm = new Storm(
      sink,
      start(from.netns, ['storm', to.address, echo, oneWay, denied, ...load]),
    );
    const { value } = await storm.#lines.next();
    if (value !== 'started') throw new Error(`the storm did not start: ${value}`);
    return storm;
  }

  async end(): Promise<StormReport> {
    // nsenter became the tool: the signal reaches it.
    this.#tool.kill('SIGTERM');
    const { value } = await this.#lines.next();
    const sent = JSON.parse(value) as Sent;
    const arrived = await this.#sink.counts();
    await this.#sink.stop();
    const { echoed } = sent;
    return {
      packets: echoed.sent + sent.oneWay + sent.denied,
      packetsPerSecond: sent.packetsPerSecond,
      lost:
        echoed.sent -
        echoed.got -
        echoed.overflowed +
        (sent.oneWay - arrived.oneWay.got - arrived.oneWay.overflowed),
      denied: sent.denied,
      deniedArrived: arrived.denied.got + arrived.denied.overflowed + echoed.wrong,
      overflowed: echoed.overflowed + arrived.oneWay.overflowed,
      connections: sent.connections,
      broken: sent.broken + sent.stuck,
      fresh: sent.fresh,
      deniedFresh: sent.deniedFresh,
      retransmitted: sent.retransmitted,
      seconds: sent.seconds,
    };
  }
}
