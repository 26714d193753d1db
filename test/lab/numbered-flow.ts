/** A flow of numbered UDP packets at 1 000/s between two workloads: what was lost of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Lab } from './lab.js';
import { netnsPath } from './lab-run.js';
import { LOAD_TOOL } from './load-tool.js';

export interface FlowReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly longestSilenceMs: number;
}

export interface NumberedFlow {
  /** SIGTERM ends the flow early; it reports all the same. */
  readonly child: ChildProcess;
  readonly report: Promise<FlowReport>;
}

export interface FlowPlan {
  readonly from: string;
  readonly to: string;
  /** At most. */
  readonly seconds: number;
}

/** Resolves when it has started. */
export async function startFlow(lab: Lab, { from, to, seconds }: FlowPlan): Promise<NumberedFlow> {
  const argv = [
    `--net=${netnsPath(lab.workload(from).netns)}`,
    ...[LOAD_TOOL, 'flow', lab.workload(to).address, '80', '1000', String(seconds)],
  ];
  const child = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return { child, report: lines.next().then(({ value }) => JSON.parse(value) as FlowReport) };
}
