/** What `margay why` tells of random policies is what the tables hold and the oracle says, rule for rule. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { allocatePolicyMaps } from '../../src/dataplane/ebpf/tables/policy-maps.js';
import { emptyWorld, judge, type World } from '../../src/dataplane/ebpf/tables/policy-oracle.js';
import { type Packet, PolicyTables } from '../../src/dataplane/ebpf/tables/policy-tables.js';
import { anyChange, foundation, packet } from '../../src/dataplane/ebpf/tables/policy-worlds.js';
import { type Decision, type Direction, decisionsKey } from '../../src/model/decision.js';
import type { DesiredWorkloadEndpoint } from '../../src/model/desired.js';
import { DesiredPicture } from '../../src/observe/desired-picture.js';
import { explain } from '../../src/observe/explanation.js';
import type { FlowPacket } from '../../src/observe/flow-packet.js';

const SIZES = {
  ...{ nodes: 512, nodes6: 512, infos: 2048, endpoints: 256, nexthops: 64 },
  ...{ policySets: 512, arenaLines: 8192 },
};
const RUNS = 150;

function pictureOf(world: World): DesiredPicture {
  const picture = new DesiredPicture();
  for (const [id, set] of world.ipSets) picture.onUpdate({ type: 'ip-set', id, ...set });
  for (const [id, policy] of world.policies) picture.onUpdate({ type: 'policy', id, policy });
  for (const [id, profile] of world.profiles) picture.onUpdate({ type: 'profile', id, profile });
  return picture;
}

function ownerOf(
  world: World,
  address: string,
): Pick<DesiredWorkloadEndpoint, 'tiers' | 'profiles'> | undefined {
  return [...world.endpoints]
    .filter(([, { addresses }]) => addresses.includes(address))
    .sort(([a], [b]) => (a < b ? -1 : 1))[0]?.[1];
}

/** Types and codes apart, as people give them. */
function questionOf(seen: Packet): FlowPacket {
  if (seen.protocol !== 1 && seen.protocol !== 58) return seen;
  const icmp = { type: seen.destinationPort >> 8, code: seen.destinationPort & 255 };
  return { ...seen, sourcePort: 0, destinationPort: 0, icmp };
}

/** Without the direction where the oracle leaves it out. */
function asOracle(decision: Decision): string {
  switch (decision.by) {
    case 'policy':
    case 'profile':
      return `${decision.by} ${decision.id} ${decision.direction} ${decision.index}`;
    case 'end-of-tier':
      return `end-of-tier ${decision.tier}`;
    case 'missing-profile':
      return `missing-profile ${decision.id}`;
    default:
      return decision.by;
  }
}

describe('explanations of random policies', () => {
  test(`agree with the tables and the oracle, in ${RUNS} worlds`, () => {
    let compared = 0;
    const property = fc.property(
      foundation,
      fc.array(anyChange, { maxLength: 20 }),
      fc.array(packet, { minLength: 10, maxLength: 10 }),
      (base, changes, packets) => {
        const world = emptyWorld();
        const tables = new PolicyTables(allocatePolicyMaps(SIZES));
        for (const change of [...base, ...changes]) change(world, tables);
        tables.commit();
        const picture = pictureOf(world);
        for (const seen of packets) {
          const found = tables.lookup(seen);
          for (const direction of ['egress', 'ingress'] as const) {
            const inKernel = found[direction];
            if (inKernel === null) continue;
            compared++;
            const told = explainAt(world, picture, { seen, direction });
            expect(told.allow).toBe(inKernel.allow);
            expect(told.log).toBe(inKernel.log);
            expect(decisionsKey(told.decisions)).toBe(
              decisionsKey(tables.describeTrace(inKernel.trace)),
            );
            const oracle = judge(world, seen, direction);
            expect(told.allow).toBe(oracle?.allow);
            expect(told.decisions.map(asOracle)).toEqual(oracle?.by);
          }
        }
      },
    );
    fc.assert(property, { numRuns: RUNS });
    expect(compared).toBeGreaterThan(RUNS);
  });
});

function explainAt(
  world: World,
  picture: DesiredPicture,
  { seen, direction }: { readonly seen: Packet; readonly direction: Direction },
) {
  const own = direction === 'ingress' ? seen.destination : seen.source;
  const endpoint = ownerOf(world, own);
  if (endpoint === undefined) throw new Error(`${own} belongs to nobody, but the tables know it`);
  return explain({ picture, endpoint, direction, packet: questionOf(seen) });
}
