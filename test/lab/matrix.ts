/** Who reaches whom: probed, expected, and drawn as a table. */
import type { Lab } from './lab.js';
import type { Protocol } from './prober.js';

export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  /** 0 for icmp. */
  readonly port: number;
}

export type Verdicts = ReadonlyMap<string, boolean>;

export const flowKey = (flow: Flow): string =>
  `${flow.from}>${flow.to} ${flow.protocol}/${flow.port}`;

/** Every ordered pair of different workloads with each service. */
export function allFlows(
  names: readonly string[],
  services: readonly { readonly protocol: Protocol; readonly port: number }[],
): readonly Flow[] {
  return names.flatMap((from) =>
    names
      .filter((to) => to !== from)
      .flatMap((to) => services.map((service) => ({ from, to, ...service }))),
  );
}

/** Probes all flows at once, each with a socket of its own. */
export async function probeAll(
  lab: Lab,
  flows: readonly Flow[],
  timeoutMs = 800,
): Promise<Verdicts> {
  const results = await Promise.all(
    flows.map(async (flow) => {
      const outcome = await lab.reaches(flow.from, flow.to, flow.protocol, flow.port, timeoutMs);
      return [flowKey(flow), outcome === 'open'] as const;
    }),
  );
  return new Map(results);
}

/** Flows whose probed verdict is not the expected one, a line each. */
export function differences(
  flows: readonly Flow[],
  probed: Verdicts,
  expected: (flow: Flow) => boolean,
): readonly string[] {
  return flows
    .filter((flow) => probed.get(flowKey(flow)) !== expected(flow))
    .map((flow) => `${flowKey(flow)}: expected ${expected(flow) ? 'open' : 'closed'}`);
}

/**
 * Rows are sources, columns destinations. A cell has one mark per service, in the order given:
 * '+' open and expected, '.' closed and expected, '!' not as expected.
 */
export function drawMatrix(
  names: readonly string[],
  services: readonly { readonly protocol: Protocol; readonly port: number }[],
  probed: Verdicts,
  expected: (flow: Flow) => boolean,
): string {
  const width = Math.max(...names.map((name) => name.length), services.length) + 2;
  const mark = (flow: Flow): string => {
    const open = probed.get(flowKey(flow)) === true;
    if (open !== expected(flow)) return '!';
    return open ? '+' : '.';
  };
  const cell = (from: string, to: string): string =>
    from === to ? '-' : services.map((service) => mark({ from, to, ...service })).join('');
  const lines = [
    `${'from \\ to'.padEnd(width + 2)}${names.map((name) => name.padEnd(width)).join('')}`,
    ...names.map(
      (from) =>
        `${from.padEnd(width + 2)}${names.map((to) => cell(from, to).padEnd(width)).join('')}`,
    ),
  ];
  return lines.map((line) => line.trimEnd()).join('\n');
}
