/**
 * How many rules a packet is compared with does not follow the number of rules of policy, nor that of endpoints: counted
 * on real packets through real tables, not timed.
 */
import { describe, expect, test } from '@jest/globals';
import type { DesiredRule, DesiredUpdate, IpSetId } from '../../src/model/desired.js';
import { PacketHost } from '../support/packet-host.js';
import { IptablesProcess } from './iptables.js';
import { rawPacket, TCP } from '../support/raw-packet.js';
import { rulesTraversed, type Save } from '../support/rules-traversed.js';

const TABLES = ['raw', 'mangle', 'nat', 'filter'];
const PATH = [
  ['raw', 'PREROUTING'],
  ['filter', 'FORWARD'],
] as const;
const OPEN_PORT = 80;
const SETS = 64;
const MAC = '02:00:00:00:00:01';

const setId = (index: number): IpSetId => `s${index % SETS}` as IpSetId;

/** None but the last matches: other peers, other ports, now one protocol and now another. */
function rules(count: number): readonly DesiredRule[] {
  return Array.from({ length: count }, (_, index) => {
    const isLast = index === count - 1;
    const port = isLast ? OPEN_PORT : 1000 + index;
    return {
      action: 'allow',
      protocol: isLast || index % 2 === 0 ? 6 : 17,
      destination: { ports: [{ first: port, last: port }] },
      ...(isLast ? {} : { source: { ipSets: [setId(index)] } }),
      index,
    };
  });
}

function updatesOf(count: number, perPolicy: number, endpoints: number): readonly DesiredUpdate[] {
  const all = rules(count);
  const policies = Array.from({ length: Math.ceil(count / perPolicy) }, (_, at) => ({
    type: 'policy',
    id: `GlobalNetworkPolicy/p${at}`,
    policy: {
      tier: 'default',
      ingress: all.slice(at * perPolicy, (at + 1) * perPolicy),
      egress: [],
    },
  }));
  const sets = Array.from({ length: SETS }, (_, at) => ({
    type: 'ip-set',
    id: setId(at),
    kind: 'net',
    members: [`10.128.${at}.0/32`],
  }));
  const profile = { ingress: [], egress: [{ action: 'allow', index: 0 }] };
  const tier = { name: 'default', defaultAction: 'deny', egress: [] };
  const endpoint = (name: string, address: string) => ({
    type: 'workload-endpoint',
    id: `default/${name}`,
    endpoint: {
      ...{ interfaceName: `cali${name}`, addresses: [address], mac: MAC, profiles: ['open'] },
      tiers: [{ ...tier, ingress: policies.map(({ id }) => id) }],
    },
  });
  const others = Array.from({ length: endpoints - 2 }, (_, at) =>
    endpoint(`${(at * 2_654_435_761) % 0xffff_ffff}`, `10.66.${at >> 8}.${at & 255}`),
  );
  return [
    ...sets,
    { type: 'profile', id: 'open', profile },
    ...policies,
    endpoint('a', '10.65.0.1'),
    endpoint('b', '10.65.0.2'),
    ...others,
    { type: 'in-sync' },
  ] as unknown as readonly DesiredUpdate[];
}

class CountingHost implements AsyncDisposable {
  readonly #network: PacketHost;
  readonly #backend: 'legacy' | 'nft';
  readonly #dataplane: IptablesProcess;
  #mark = 0;

  constructor(backend: 'legacy' | 'nft') {
    this.#backend = backend;
    this.#network = new PacketHost(`mgyfl${process.pid % 100_000}${backend[0]}`);
    this.#network.addLink('calia');
    this.#network.addLink('calib');
    this.#dataplane = new IptablesProcess(this.#network.path, backend);
  }

  async program(updates: readonly DesiredUpdate[]): Promise<void> {
    expect(await this.#dataplane.ask({ do: 'apply', updates })).toBe('applied');
  }

  #save(): readonly string[] {
    const program = `iptables-${this.#backend}-save`;
    return TABLES.map((table) => this.#network.inside(program, '-c', '-t', table));
  }

  /** A packet between the two workloads that passes: rules that it met, by where. */
  async count(from: 'a' | 'b', tcpFlags: number): Promise<Readonly<Record<string, number>>> {
    const [client, server] = [
      { address: '10.65.0.1', port: 40_000 },
      { address: '10.65.0.2', port: OPEN_PORT },
    ];
    const [source, destination] = from === 'a' ? [client, server] : [server, client];
    const mark = ++this.#mark;
    const packet = {
      ...{ source: source.address, sourcePort: source.port, protocol: 6 },
      ...{ destination: destination.address, destinationPort: destination.port },
    };
    const bytes = rawPacket(packet, { mark, tcpFlags });
    const before = this.#save();
    const passed = await this.#network.send([
      { bytes, mark, from: `cali${from}`, to: from === 'a' ? 'calib' : 'calia' },
    ]);
    expect(passed).toEqual([true]);
    const after = this.#save();
    const saves = TABLES.map(
      (table, at): Save => ({
        ...{ table, before: before[at] ?? '', after: after[at] ?? '' },
      }),
    );
    return rulesTraversed(saves, PATH);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dataplane.kill();
    await this.#network[Symbol.asyncDispose]();
  }
}

async function counts(host: CountingHost, count: number, perPolicy: number, endpoints = 2) {
  await host.program(updatesOf(count, perPolicy, endpoints));
  const first = await host.count('a', TCP.syn);
  await host.count('b', TCP.synAck);
  const later = await host.count('a', TCP.ack);
  return { first, later };
}

describe.each(['legacy', 'nft'] as const)('rules that a packet meets, %s', (backend) => {
  test('are as many with 10 000 rules as with 10, however they are spread over policies', async () => {
    const found: Awaited<ReturnType<typeof counts>>[] = [];
    for (const [count, perPolicy] of [
      [10, 10],
      [1000, 10],
      [10_000, 10],
      [10_000, 10_000],
    ] as const) {
      await using own = new CountingHost(backend);
      found.push(await counts(own, count, perPolicy));
    }
    const later = { 'raw PREROUTING': 4, 'filter FORWARD': 2 };
    expect(found.map((one) => one.later)).toEqual([later, later, later, later]);
    const first = { 'raw PREROUTING': 4, 'filter FORWARD': 31 };
    // A large policy has a chain of its own: one call, one question about its answer.
    const called = { ...first, 'filter FORWARD': 33 };
    expect(found.map((one) => one.first)).toEqual([first, first, first, called]);
  });

  test('follow the characters in the names of 1 000 interfaces, not their number', async () => {
    await using host = new CountingHost(backend);
    const { first, later } = await counts(host, 10, 10, 1000);
    expect(later).toEqual({ 'raw PREROUTING': 4, 'filter FORWARD': 2 });
    // Both directions ask for one of some twelve first characters; a and b have no second one in common with others.
    expect(first['filter FORWARD']).toBeLessThanOrEqual(31 + 2 * 12);
  });
});
