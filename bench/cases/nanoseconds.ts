/**
 * Nanoseconds per packet of the programs themselves, with tables made by the product: established, new and denied
 * flows, from 1 to 100 000 rules, hot and cold, beside the harness's own cost. By the method of docs/performance.md.
 */
import { native } from '../../src/kernel/addon.js';
import * as packets from '../../test/support/packet.js';
import { type CaseResult, type Figure, isFull, isQuick, printResult } from '../case.js';
import {
  BenchLinks,
  connectionKey,
  loadFloor,
  ProgramBed,
  type Runner,
  TC_DROP,
  TC_REDIRECT,
} from '../program-bed.js';
import { CLOSED_PORT, OPEN_PORT, ruleSet, sourceAddress } from '../rule-set.js';
import { bootstrapMedian, median, quantile, randomSequence } from '../statistics.js';

/** A TTL of 255 lasts for that many hops, and the kernel sends one packet through all repeats. */
const REPEAT = 200;
const TTL = 255;
const SERVER = '10.65.0.3';
/** Samples whose median is one member of a paired ratio. */
const BLOCK = 40;
const WARM_UP = 500;

const quick = isQuick();
const BATCHES = quick ? 1000 : 6000;
const SINGLES = quick ? 2000 : 20_000;
const COLD = quick
  ? { endpoints: 64, perEndpoint: 250, connections: 100_000, packets: 5000 }
  : { endpoints: 64, perEndpoint: 1000, connections: 400_000, packets: 20_000 };

interface Flow {
  readonly server: string;
  readonly sport: number;
  readonly dport: number;
}

const frame = ({ server, sport, dport }: Flow, flags: number): Uint8Array =>
  packets.tcp({ from: sourceAddress, to: server, ttl: TTL, sport, dport, flags });

const HOT: Flow = { server: SERVER, sport: 40_000, dport: OPEN_PORT };
const SYN = frame(HOT, packets.TCP_SYN);
const ACK = frame(HOT, packets.TCP_ACK);
const DENIED = frame({ ...HOT, dport: CLOSED_PORT }, packets.TCP_SYN);
const ANSWER = packets.tcp({
  ...{ from: SERVER, to: sourceAddress, ttl: TTL, sport: OPEN_PORT, dport: HOT.sport },
  flags: packets.TCP_SYN | packets.TCP_ACK,
});
const HOT_KEY = connectionKey(HOT.server, HOT.sport, HOT.dport);

function must(action: number, wanted: number, what: string): void {
  if (action !== wanted) throw new Error(`${what}: the program returned ${action}, not ${wanted}`);
}

type Sample = () => number;

/** Every packet of the batch was forwarded: the last one, and one hop less for each. */
function batch(runner: Runner): number {
  const { ns, action, ttl } = runner.run(ACK, REPEAT);
  must(action, TC_REDIRECT, 'established');
  if (ttl !== TTL - REPEAT) throw new Error(`a batch came out with a TTL of ${ttl}`);
  return ns;
}

function newFlow(bed: ProgramBed): number {
  bed.forget(HOT_KEY);
  const { ns, action } = bed.fromClient.run(SYN, 1);
  must(action, TC_REDIRECT, 'new flow');
  return ns;
}

/** Denial changes neither the packet nor a table, so that a batch repeats the whole walk. */
function deniedFlow(bed: ProgramBed): number {
  const { ns, action } = bed.fromClient.run(DENIED, REPEAT);
  must(action, TC_DROP, 'denied flow');
  return ns;
}

/** All samplers in turn, so that each suffers the same neighbours. */
function interleave(samplers: readonly Sample[], rounds: number): readonly (readonly number[])[] {
  const samples = samplers.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < samplers.length; i++) {
      const at = (i + round) % samplers.length;
      const ns = samplers[at]?.();
      if (ns !== undefined) samples[at]?.push(ns);
    }
  }
  return samples;
}

const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Ratios of medians of corresponding blocks. */
function pairedRatio(samples: readonly number[], reference: readonly number[]) {
  const blocks = Math.floor(samples.length / BLOCK);
  const at = (values: readonly number[], block: number): number =>
    median(values.slice(block * BLOCK, (block + 1) * BLOCK));
  return bootstrapMedian(
    Array.from({ length: blocks }, (_, block) => at(samples, block) / at(reference, block)),
  );
}

function absolute(name: string, samples: readonly number[]): Figure {
  const minimum = Math.min(...samples);
  return {
    ...{ name, value: median(samples), unit: 'ns' },
    ...{ low: minimum, high: quantile(samples, 0.95) },
    note: `minimum ${minimum.toFixed(0)}, average ${average(samples).toFixed(0)}`,
  };
}

function relative(name: string, samples: readonly number[], reference: readonly number[]): Figure {
  const ratio = pairedRatio(samples, reference);
  return { name, value: ratio.median, unit: 'x', low: ratio.low, high: ratio.high, gate: 'lower' };
}

const named = (rules: number): string =>
  `${rules.toLocaleString('en').replaceAll(',', ' ')} rule${rules === 1 ? '' : 's'}`;

interface Hot {
  readonly floorBatch: readonly number[];
  readonly floorSingle: readonly number[];
  /** These as the rules. */
  readonly established: readonly (readonly number[])[];
  readonly denied: readonly (readonly number[])[];
  readonly fresh: readonly (readonly number[])[];
}

/** One flow again and again: everything it touches is in the processor's nearest cache. */
function measureHot(floor: Runner, beds: readonly ProgramBed[]): Hot {
  const single = [() => floor.run(SYN, 1).ns, ...beds.map((bed) => () => newFlow(bed))];
  interleave(single, WARM_UP);
  const [floorSingle = [], ...fresh] = interleave(single, SINGLES);
  for (const bed of beds) must(bed.fromServer.run(ANSWER, 1).action, TC_REDIRECT, 'SYN and ACK');
  const batches = [
    () => floor.run(ACK, REPEAT).ns,
    ...beds.map((bed) => () => batch(bed.fromClient)),
    ...beds.map((bed) => () => deniedFlow(bed)),
  ];
  interleave(batches, WARM_UP);
  const [floorBatch = [], ...rest] = interleave(batches, BATCHES);
  const [established, denied] = [rest.slice(0, beds.length), rest.slice(beds.length)];
  return { floorBatch, floorSingle, established, denied, fresh };
}

function hotFigures(rules: readonly number[], hot: Hot): readonly Figure[] {
  const figures = [absolute('harness alone, batches', hot.floorBatch)];
  for (const [i, count] of rules.entries()) {
    const samples = hot.established[i] ?? [];
    figures.push(absolute(`established hot, ${named(count)}`, samples));
    figures.push(relative(`established / harness, ${named(count)}`, samples, hot.floorBatch));
  }
  figures.push(...perRules('denied flow', rules, hot.denied));
  figures.push(absolute('harness alone, single packets', hot.floorSingle));
  figures.push(...perRules('new flow', rules, hot.fresh));
  return figures;
}

/** Times, and what more rules cost. */
function perRules(
  kind: string,
  rules: readonly number[],
  samples: readonly (readonly number[])[],
): readonly Figure[] {
  const [fewest = []] = samples;
  return rules.flatMap((count, i) => {
    const own = samples[i] ?? [];
    const time = absolute(`${kind} hot, ${named(count)}`, own);
    if (i === 0) return [time];
    const name = `${kind}, ${named(count)} / ${named(rules[0] ?? 1)}`;
    return [time, relative(name, own, fewest)];
  });
}

const SIZES = { arenaLines: 65_536 };
const COLD_ADDRESSES = COLD.endpoints * COLD.perEndpoint;

/** Servers' addresses, 250 in each /24. */
function serverAddress(n: number): string {
  return `10.${65 + Math.floor(n / 64_000)}.${Math.floor(n / 250) % 256}.${(n % 250) + 1}`;
}

/** Numbers 0 … count - 1 that neighbour one another nowhere: 7919 is prime and divides no count used here. */
const scattered = (n: number, count: number): number => (n * 7919) % count;

const random = randomSequence(20_260_101);
const pick = (bound: number): number => Math.floor(random() * bound);

interface ColdBed {
  readonly bed: ProgramBed;
  readonly flows: readonly Flow[];
}

async function openCold(rules: number): Promise<ColdBed> {
  const servers = Array.from({ length: COLD.endpoints }, (_, endpoint) =>
    Array.from({ length: COLD.perEndpoint }, (_, i) =>
      serverAddress(scattered(endpoint * COLD.perEndpoint + i, COLD_ADDRESSES)),
    ),
  );
  const bed = await ProgramBed.open({
    ...{ rules: ruleSet(rules), servers, conntrackEntries: COLD.connections + 65_536 },
    sizes: { ...SIZES, endpoints: COLD_ADDRESSES + 1024, infos: COLD_ADDRESSES + 1024 },
  });
  const flows = Array.from({ length: COLD.connections }, (_, i) => ({
    server: serverAddress(pick(COLD_ADDRESSES)),
    ...{ sport: 1024 + (i % 60_000), dport: OPEN_PORT },
  }));
  for (let from = 0; from < flows.length; from += 50_000) {
    const keys = flows.slice(from, from + 50_000);
    await bed.remember(keys.map(({ server, sport, dport }) => connectionKey(server, sport, dport)));
  }
  return { bed, flows };
}

/**
 * Every packet of another flow, at random among many, one at a time: what belongs to the flow and to its addresses
 * has to come from memory. What all flows share, the policy, stays as warm as it would.
 */
function measureCold(floor: Runner, { bed, flows }: ColdBed, rules: number): readonly Figure[] {
  const samples = { floor: [] as number[], established: [] as number[], fresh: [] as number[] };
  for (let i = 0; i < COLD.packets; i++) {
    const known = flows[pick(flows.length)] ?? HOT;
    const established = bed.fromClient.run(frame(known, packets.TCP_ACK), 1);
    must(established.action, TC_REDIRECT, 'cold established flow');
    // Ports that no remembered connection has.
    const server = serverAddress(pick(COLD_ADDRESSES));
    const flow = { server, sport: 61_100 + pick(4000), dport: OPEN_PORT };
    const fresh = bed.fromClient.run(frame(flow, packets.TCP_SYN), 1);
    must(fresh.action, TC_REDIRECT, 'cold new flow');
    samples.floor.push(floor.run(SYN, 1).ns);
    samples.established.push(established.ns);
    samples.fresh.push(fresh.ns);
  }
  return [
    absolute(`harness alone, between cold packets, ${named(rules)}`, samples.floor),
    absolute(`established cold, ${named(rules)}`, samples.established),
    absolute(`new flow cold, ${named(rules)}`, samples.fresh),
  ];
}

async function nanoseconds(): Promise<CaseResult> {
  using links = new BenchLinks();
  const floor = await loadFloor();
  const rules = isFull() ? [1, 1000, 100_000] : [1, 1000];
  const beds: ProgramBed[] = [];
  for (const count of rules) {
    process.stderr.write(`tables for ${named(count)}\n`);
    beds.push(await ProgramBed.open({ rules: ruleSet(count), servers: [[SERVER]], sizes: SIZES }));
  }
  const figures = [
    ...hotFigures(
      rules,
      native().inNetns(links.path, () => measureHot(floor.runner, beds)),
    ),
  ];
  for (const bed of beds) bed[Symbol.dispose]();
  for (const count of rules) {
    process.stderr.write(`${COLD.connections} connections, ${named(count)}\n`);
    const cold = await openCold(count);
    figures.push(...native().inNetns(links.path, () => measureCold(floor.runner, cold, count)));
    cold.bed[Symbol.dispose]();
  }
  floor.close();
  return { case: 'nanoseconds', title: 'The programs by themselves, ns per packet', figures };
}

printResult(await nanoseconds());
