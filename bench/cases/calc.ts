/**
 * The calculation at the size of a large cluster, then the tables that are made of what it says. Each population
 * is measured in a process of its own, so that its memory is its own.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type CaseResult, type Figure, isQuick, printResult } from '../case.js';
import type { ClusterShape } from '../populations/cluster.js';
import type { Cost } from '../populations/costs.js';
import { type GraphCost, measureGraph } from '../populations/graph-cost.js';
import { measureTables, type TablesCost } from '../populations/tables-cost.js';

const LARGE = 250_000;
const SMALL = 2500;
const FEW_SELECTORS = 31;
const MANY_SELECTORS = 1000;

const PARTS = { graph: measureGraph, tables: measureTables } as const;
/** V8 learns from what a snapshot keeps that such objects are old from birth, and then garbage is, too. */
const NO_PRETENURING = '--no-allocation-site-pretenuring';
type Part = keyof typeof PARTS;

/** Runs one part in a process of its own, with these flags of Node. */
function measure<P extends Part>(
  part: P,
  shape: ClusterShape,
  flags: readonly string[] = [],
): ReturnType<(typeof PARTS)[P]> {
  const file = fileURLToPath(import.meta.url);
  const text = JSON.stringify(shape);
  process.stderr.write(`${part}: ${shape.endpoints} endpoints, ${shape.selectors} selectors\n`);
  const output = execFileSync(process.execPath, [...flags, file, '--part', part, text], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  return JSON.parse(output) as ReturnType<(typeof PARTS)[P]>;
}

interface Scale {
  readonly unit: string;
  /** Of a millisecond. */
  readonly factor: number;
}
const SECONDS: Scale = { unit: 's', factor: 1 / 1000 };
const MILLISECONDS: Scale = { unit: 'ms', factor: 1 };
const MICROSECONDS: Scale = { unit: 'us', factor: 1000 };

/** Processor time: other work on the machine does not count. Wall time is in the note. */
function time(name: string, cost: Cost, { unit, factor }: Scale, target?: string): Figure {
  const wall = `wall ${(cost.wallMs * factor).toPrecision(3)} ${unit}`;
  const note = target === undefined ? wall : `${wall}; target ${target}`;
  return { name, value: cost.cpuMs * factor, unit, note };
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

function graphFigures(prefix: string, cost: GraphCost): readonly Figure[] {
  const { making, snapshot, changes, updates, peakMb, heapMb } = cost;
  const graphAlone = {
    cpuMs: snapshot.cpuMs - making.cpuMs,
    wallMs: snapshot.wallMs - making.wallMs,
  };
  const rate = 1000 / changes.sustained.cpuMs;
  return [
    {
      ...time(`${prefix}: snapshot to first output`, graphAlone, SECONDS),
      note: `wall ${seconds(graphAlone.wallMs)} s, and ${seconds(making.wallMs)} for making the objects; ${updates} updates; target <= 5`,
    },
    {
      name: `${prefix}: resident memory`,
      value: cost.residentMb,
      unit: 'MB',
      note: `heap in use ${heapMb.toFixed(0)}, peak resident ${peakMb.toFixed(0)}; target <= 300`,
    },
    time(`${prefix}: remote endpoint, known labels`, changes.known, MICROSECONDS, '<= 20'),
    time(`${prefix}: remote endpoint, new labels`, changes.unknown, MILLISECONDS, '<= 2'),
    time(`${prefix}: rule edit, 200 local endpoints`, changes.ruleEdit, MILLISECONDS, '<= 20'),
    {
      name: `${prefix}: remote endpoints, sustained`,
      value: rate,
      unit: '/s',
      note: `wall ${(1000 / changes.sustained.wallMs).toFixed(0)} /s; target >= 20000`,
    },
  ];
}

function tablesFigures(prefix: string, cost: TablesCost): readonly Figure[] {
  const { first, firstStores, statistics, changes, stores } = cost;
  const both = 'calculation and tables';
  return [
    {
      ...time(`${prefix}: first commit`, first, SECONDS),
      note: `wall ${seconds(first.wallMs)} s; ${firstStores} stores, ${statistics.classes} classes, ${statistics.blocks} blocks, ${statistics.lines} lines, ${statistics.infos} infos`,
    },
    time(`${prefix}: remote endpoint, known labels, ${both}`, changes.known, MICROSECONDS),
    {
      name: `${prefix}: stores of a remote endpoint`,
      value: stores.known,
      unit: '',
      gate: 'lower',
    },
    time(`${prefix}: remote endpoint, new labels, ${both}`, changes.unknown, MILLISECONDS),
    time(
      `${prefix}: rule edit, 200 local endpoints, ${both}`,
      changes.ruleEdit,
      MILLISECONDS,
      '<= 100',
    ),
    { name: `${prefix}: stores of a rule edit`, value: stores.ruleEdit, unit: '', gate: 'lower' },
  ];
}

const KINDS = [
  ['known labels', 'known'],
  ['new labels', 'unknown'],
  ['rule edit', 'ruleEdit'],
] as const;
/** Of a cost at ten or a hundred times the size: noise of a shared machine stays below, a scan of everything above. */
const GROWS = 3;

/** Costs at the two sizes; a shared machine moves them, a cost that grows with the cluster moves them more. */
function ratioFigures(large: GraphCost, small: GraphCost, endpoints: number): readonly Figure[] {
  const ratios = KINDS.map(([name, kind]) => ({
    name,
    ratio: large.changes[kind].cpuMs / small.changes[kind].cpuMs,
  }));
  const growing = ratios.filter(({ ratio }) => ratio > GROWS);
  return [
    ...ratios.map(({ name, ratio }) => ({
      name: `${name}: cost at ${endpoints} / at ${SMALL}`,
      ...{ value: ratio, unit: 'x', note: 'target <= 1.5' },
    })),
    {
      name: 'kinds of change whose cost grows with the cluster',
      ...{ value: growing.length, unit: '', gate: 'lower' },
      note: `more than ${GROWS} times dearer: ${growing.map(({ name }) => name).join(', ') || 'none'}`,
    },
  ];
}

/** A tenth of the cluster and one population: enough to see that it works, what grows, and the stores of a change. */
function quickFigures(): readonly Figure[] {
  const shape = { endpoints: LARGE / 10, selectors: FEW_SELECTORS };
  const cost = measure('graph', shape);
  return [
    ...graphFigures(`${shape.endpoints} endpoints`, cost),
    ...ratioFigures(cost, measure('graph', { ...shape, endpoints: SMALL }), shape.endpoints),
    ...tablesFigures(`tables, ${FEW_SELECTORS} selectors`, measure('tables', shape)),
  ];
}

function wholeFigures(): readonly Figure[] {
  const few = { endpoints: LARGE, selectors: FEW_SELECTORS };
  const many = { endpoints: LARGE, selectors: MANY_SELECTORS };
  const fewCost = measure('graph', few);
  const young = measure('graph', few, [NO_PRETENURING]);
  return [
    ...graphFigures(`${few.selectors} selectors`, fewCost),
    {
      name: `${few.selectors} selectors: resident memory, no pretenuring`,
      value: young.residentMb,
      unit: 'MB',
      note: `node ${NO_PRETENURING}; peak resident ${young.peakMb.toFixed(0)}`,
    },
    ...ratioFigures(fewCost, measure('graph', { ...few, endpoints: SMALL }), LARGE),
    ...graphFigures(`${many.selectors} selectors`, measure('graph', many)),
    ...[few, many].flatMap((shape) =>
      tablesFigures(`tables, ${shape.selectors} selectors`, measure('tables', shape)),
    ),
  ];
}

const calc = (): CaseResult => ({
  case: 'calc',
  title: `${isQuick() ? LARGE / 10 : LARGE} workload endpoints, 10 000 policies of 5 rules, on one host of 5 000`,
  figures: isQuick() ? quickFigures() : wholeFigures(),
});

function runPart(part: Part, shape: ClusterShape): void {
  process.stdout.write(JSON.stringify(PARTS[part](shape)));
}

const [flag, part, shape] = process.argv.slice(2);
if (flag === '--part' && (part === 'graph' || part === 'tables') && shape !== undefined) {
  runPart(part, JSON.parse(shape) as ClusterShape);
} else printResult(calc());
