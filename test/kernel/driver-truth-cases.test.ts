/** The truth cases of the specification as packets through a real kernel, by every driver. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { DRIVERS, type DriverName } from '../support/dataplane-process.js';
import { DesiredHost, hopsOf } from '../support/desired-path.js';
import {
  calculated,
  DriverHosts,
  expectedVerdict,
  isElsewhereInEbpf,
  isPoliced,
  visitsOf,
} from '../support/driver-hosts.js';
import { type TruthCase, type World, type WorldPacket, worldOf } from '../support/policy-world.js';
import { placeOf, seenPacket } from '../support/reference-packet.js';
import type { Visit } from '../support/policed-host.js';
import { REPOSITORY } from '../support/repository.js';

const file = join(REPOSITORY, 'test', 'contract', 'policy-cases.yaml');
const { world: base, cases } = parse(readFileSync(file, 'utf8')) as {
  readonly world: Partial<World>;
  readonly cases: readonly TruthCase[];
};

/**
 * Where the host's own rules translate what a workload sends, the programs have judged it before: by the address that
 * the workload asked for. These cases show it (docs/design/bpf.md).
 */
const BEFORE_TRANSLATION: Readonly<Record<string, string>> = { D09: 'allow', D10: 'deny' };

const PROTOCOLS = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const;

/** The case's packet as each protocol, in both families; what its ends have no address for is left out. */
function variants(world: World, packet: WorldPacket): readonly WorldPacket[] {
  const { icmp: _, proto: __, ...rest } = packet;
  return ([4, 6] as const).flatMap((family) =>
    PROTOCOLS.flatMap((protocol) => {
      const echo = family === 4 ? 8 : 128;
      const proto = protocol === 'ICMP' && family === 6 ? 'ICMPv6' : protocol;
      const [from, to] = [inFamily(world, rest.from, family), inFamily(world, rest.to, family)];
      const icmp = protocol === 'ICMP' ? { icmp: [echo, 0] as const } : {};
      const variant = { ...rest, from, to, family, proto, ...icmp } as WorldPacket;
      return hasAddresses(world, variant) ? [variant] : [];
    }),
  );
}

/** An outside address of the family; of the partners' set if the other one is. */
function inFamily(world: World, name: string, family: 4 | 6): string {
  if (placeOf(world, name).type !== 'outside' || name.includes(':') === (family === 6)) return name;
  if (family === 4) return name.startsWith('2001:db8:1:') ? '203.0.113.9' : '198.51.100.7';
  return name.startsWith('203.0.113.') ? '2001:db8:1::9' : 'fd00:9::7';
}

function hasAddresses(world: World, packet: WorldPacket): boolean {
  try {
    const { source, destination } = seenPacket(world, packet);
    return source.includes(':') === destination.includes(':');
  } catch {
    return false;
  }
}

describe.each(DRIVERS)('%s', (driver: DriverName) => {
  let hosts: DriverHosts;
  const counted = { packets: 0, allowed: 0 };
  beforeAll(() => {
    hosts = new DriverHosts(driver, `mgydt${process.pid % 100_000}`);
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
    process.stdout.write(`${driver}: ${counted.packets} variants, ${counted.allowed} allowed\n`);
  });

  const named = cases.map((one) => [one.id, one.about, one] as const);
  test.each(named)('%s: %s', async (id, _about, one) => {
    const world = worldOf(base, one);
    const wanted = calculated(world);
    const asked = one.packet.orig === undefined && one.packet.sip === undefined;
    const packets = asked ? variants(world, one.packet) : [];
    let verdict = 'allow';
    for (const node of Object.keys(world.nodes)) {
      const { state } = wanted.host(node);
      const judge = new DesiredHost(world, node, state);
      const own = hopsOf(world, one.packet)
        .filter((hop) => hop.node === node && isPoliced(hop))
        .map((hop) => ({ hop, packet: one.packet }));
      const others = visitsOf(world, node, { host: judge, packets }).filter(
        ({ hop, packet }) => driver !== 'ebpf' || !isElsewhereInEbpf(world, hop, packet),
      );
      const host = hosts.host(node);
      if (own.length + others.length > 0) await host.program(world, state);
      const { ct = 'new' } = one.packet;
      const passed =
        ct === 'new'
          ? await host.passes(world, [...own, ...others])
          : await Promise.all(own.map(({ hop }) => host.passesLater(world, hop, one.packet)));
      if (passed.slice(0, own.length).includes(false)) verdict = 'deny';
      if (ct === 'new') compare(world, judge, { visits: others, passed: passed.slice(own.length) });
    }
    const different = driver === 'ebpf' ? BEFORE_TRANSLATION[id] : undefined;
    expect(verdict).toBe(different ?? one.verdict);
  });

  function compare(
    world: World,
    host: DesiredHost,
    { visits, passed }: { readonly visits: readonly Visit[]; readonly passed: readonly boolean[] },
  ): void {
    const wrong = visits.flatMap((visit, at) => {
      const expected = expectedVerdict(world, host, visit);
      counted.packets++;
      if (expected === 'allow') counted.allowed++;
      const found = passed[at] === true ? 'allow' : 'deny';
      return found === expected ? [] : [{ ...visit, expected, found }];
    });
    expect(wrong).toEqual([]);
  }
});
