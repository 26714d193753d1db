/** The truth cases of the specification, and random worlds, as packets through real rules of both kinds of tables. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { CalcHosts } from '../support/calc-hosts.js';
import { DesiredHost, type Hop, hopsOf, Passage } from '../support/desired-path.js';
import { type Backend, PolicedHost } from '../support/policed-host.js';
import { type TruthCase, type World, type WorldPacket, worldOf } from '../support/policy-world.js';
import { HostWorldMaker } from '../support/random-hosts.js';
import { WorldMaker } from '../support/random-world.js';
import { seenPacket } from '../support/reference-packet.js';
import { REPOSITORY } from '../support/repository.js';
import { resourcesOf } from '../support/world-resources.js';

const file = join(REPOSITORY, 'test', 'contract', 'policy-cases.yaml');
const { world: base, cases } = parse(readFileSync(file, 'utf8')) as {
  readonly world: Partial<World>;
  readonly cases: readonly TruthCase[];
};

/** Per kind of table and kind of world. MARGAY_TEST_WORLDS asks for more. */
const WORLDS = Number(process.env['MARGAY_TEST_WORLDS'] ?? 8);
const PACKETS = 40;
const MAKERS = { 'of workloads': WorldMaker, 'of workloads and hosts': HostWorldMaker };

function calculated(world: World): CalcHosts {
  const hosts = new CalcHosts(Object.keys(world.nodes));
  hosts.feed(resourcesOf(world));
  hosts.onInSync();
  hosts.flush();
  return hosts;
}

/** Between two processes of one host nothing is policed. */
const isPoliced = (hop: Hop): boolean => hop.from !== null || hop.to !== null;

/** One address on two workloads: which of them gets the packet is not for policy to say. */
function isAmbiguous(world: World, packet: WorldPacket): boolean {
  const holders = Object.values(world.weps).flatMap(({ ips }) => ips);
  const { source, destination } = seenPacket(world, packet);
  return [source, destination].some(
    (address) => holders.filter((one) => one === address).length > 1,
  );
}

/** What a kernel does not do, whatever the rules are: translate what is no connection, hear its own address. */
function isImpossible(world: World, packet: WorldPacket): boolean {
  const { source, protocol } = seenPacket(world, packet);
  const own = Object.values(world.nodes).flatMap(({ ifaces }) => Object.values(ifaces).flat());
  const isTranslatable = protocol === 6 || protocol === 17;
  return (
    (packet.orig !== undefined && !isTranslatable) ||
    (own.includes(source) && !packet.from.startsWith('host:'))
  );
}

/** The packet is said to leave, but is for the host itself. */
const turnsBack = (world: World, hop: Hop, packet: WorldPacket): boolean =>
  hop.to !== null &&
  Object.values(world.nodes[hop.node]?.ifaces ?? {})
    .flat()
    .includes(seenPacket(world, packet).destination);

const mayBeUntracked = (host: DesiredHost, { from }: Hop): boolean =>
  (host.governing(from, 'untracked')?.tiers.untracked ?? []).length > 0;

/** Types that begin an exchange, by protocol. */
const ICMP_REQUESTS: Readonly<Record<number, readonly number[]>> = {
  1: [8, 13, 15, 17],
  58: [128, 139],
};
/** Types that the kernel's connection tracking leaves alone: neither new nor invalid. */
const ICMPV6_UNTRACKED = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/** To the kernel, an answer or an error that nobody asked for belongs to no connection. */
function asKernelSees(world: World, packet: WorldPacket): WorldPacket {
  const { protocol, icmp } = seenPacket(world, packet);
  const requests = ICMP_REQUESTS[protocol];
  if (requests === undefined || icmp === undefined || requests.includes(icmp[0])) return packet;
  if (protocol === 58 && ICMPV6_UNTRACKED.includes(icmp[0])) return packet;
  return { ...packet, ct: 'invalid' };
}

describe.each(['legacy', 'nft'] as const)('iptables-%s', (backend: Backend) => {
  let policed: ReadonlyMap<string, PolicedHost>;
  beforeAll(() => {
    const id = `mgyiv${process.pid % 100_000}${backend[0]}`;
    const hostFor = (node: string): PolicedHost =>
      new PolicedHost(node, { id: `${id}${node}`, backend });
    policed = new Map(['n1', 'n2'].map((node) => [node, hostFor(node)]));
  });
  afterAll(async () => {
    for (const host of policed.values()) await host[Symbol.asyncDispose]();
  });
  const hostOf = (node: string): PolicedHost => {
    const host = policed.get(node);
    if (host === undefined) throw new Error(`no host ${node}`);
    return host;
  };

  test.each(cases.map((one) => [one.id, one.about, one] as const))(
    '%s: %s',
    async (_id, _about, one) => {
      const world = worldOf(base, one);
      const hosts = calculated(world);
      const { ct = 'new' } = one.packet;
      let verdict = 'allow';
      for (const hop of hopsOf(world, one.packet).filter(isPoliced)) {
        const host = hostOf(hop.node);
        await host.program(world, hosts.host(hop.node).state);
        const passed =
          ct === 'new'
            ? (await host.passes(world, [{ hop, packet: one.packet }]))[0]
            : await host.passesLater(world, hop, one.packet);
        if (passed !== true) verdict = 'deny';
      }
      expect(verdict).toBe(one.verdict);
    },
  );

  describe.each(Object.entries(MAKERS))('random worlds %s', (_about, Maker) => {
    const seeds = Array.from({ length: WORLDS }, (_, seed) => seed);
    test.each(seeds)(`world %i, ${PACKETS} packets: kernel = evaluator`, async (seed) => {
      const maker = new Maker(seed);
      const world = maker.world();
      const hosts = calculated(world);
      const packets = Array.from({ length: PACKETS }, () => maker.packet(world)).filter(
        (packet) =>
          !isAmbiguous(world, packet) &&
          !isImpossible(world, packet) &&
          (packet.ct ?? 'new') === 'new',
      );
      for (const node of Object.keys(world.nodes)) {
        const { state } = hosts.host(node);
        const host = hostOf(node);
        const judge = new DesiredHost(world, node, state);
        await host.program(world, state);
        const visits = packets.flatMap((packet) =>
          hopsOf(world, packet)
            .filter((hop) => hop.node === node && isPoliced(hop) && !turnsBack(world, hop, packet))
            // What is never tracked is not translated either.
            .filter((hop) => packet.orig === undefined || !mayBeUntracked(judge, hop))
            .map((hop) => ({ hop, packet })),
        );
        const passed = await host.passes(world, visits);
        const wrong = visits.flatMap(({ hop, packet }, at) => {
          const seen = asKernelSees(world, packet);
          const expected = new Passage({ world, host: judge, hop, packet: seen }).verdict();
          const found = passed[at] === true ? 'allow' : 'deny';
          return found === expected ? [] : [{ seed, hop, packet, expected, found }];
        });
        expect(wrong.slice(0, 3)).toEqual([]);
      }
    });
  });
});
