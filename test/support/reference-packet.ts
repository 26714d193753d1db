/** A packet of the truth cases in addresses and numbers. */
import type { World, WorldPacket } from './policy-world.js';
import { protocolOf, type SeenPacket } from './reference-policy.js';

/** Where a packet starts or ends. */
export type Place =
  | { readonly type: 'workload'; readonly name: string; readonly node: string }
  | { readonly type: 'host'; readonly node: string }
  | { readonly type: 'outside' };

export function placeOf(world: World, name: string): Place {
  if (name.startsWith('host:')) return { type: 'host', node: name.slice('host:'.length) };
  const workload = world.weps[name];
  return workload === undefined
    ? { type: 'outside' }
    : { type: 'workload', name, node: workload.node };
}

export function nodeOf(place: Place): string | undefined {
  return place.type === 'outside' ? undefined : place.node;
}

/** After DNAT, before SNAT: what all stages but the first two see. */
export function seenPacket(world: World, packet: WorldPacket): SeenPacket {
  const { from, to, sip, dip, proto = 'TCP', sport = 40000, dport = 0, icmp } = packet;
  const isOutside6 = [from, to].some(
    (end) => placeOf(world, end).type === 'outside' && end.includes(':'),
  );
  const family = packet.family ?? (isOutside6 ? 6 : 4);
  return {
    source: sip ?? addressAt(world, from, { family, iface: packet.out }),
    destination: dip ?? addressAt(world, to, { family, iface: packet.in }),
    protocol: protocolOf(proto),
    sourcePort: sport,
    destinationPort: dport,
    icmp,
  };
}

function addressAt(
  world: World,
  name: string,
  { family, iface = 'eth0' }: { readonly family: 4 | 6; readonly iface: string | undefined },
): string {
  const place = placeOf(world, name);
  if (place.type === 'outside') return name;
  const addresses =
    place.type === 'workload'
      ? (world.weps[place.name]?.ips ?? [])
      : (world.nodes[place.node]?.ifaces[iface] ?? []);
  const address = addresses.find((one) => one.includes(':') === (family === 6));
  if (address === undefined) throw new Error(`${name} has no IPv${family} address`);
  return address;
}
