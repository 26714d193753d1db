/** One calculation per host, all fed with the same objects, and verdicts on packets between their workloads. */
import { CalcGraph } from '../../src/calc/graph.js';
import type { ResourceUpdate } from '../../src/model/update.js';
import { DesiredState } from './desired-evaluator.js';
import type { World, WorldPacket } from './policy-world.js';
import { placeOf, seenPacket } from './reference-packet.js';
import { interfaceOf } from './world-resources.js';

interface Host {
  readonly graph: CalcGraph;
  readonly state: DesiredState;
}

export class CalcHosts {
  readonly #hosts: ReadonlyMap<string, Host>;

  constructor(hostnames: readonly string[]) {
    this.#hosts = new Map(hostnames.map((hostname) => [hostname, createHost(hostname)]));
  }

  feed(updates: readonly ResourceUpdate[]): void {
    for (const { graph } of this.#hosts.values()) for (const one of updates) graph.onResource(one);
  }

  onInSync(): void {
    for (const { graph } of this.#hosts.values()) graph.onInSync();
  }

  flush(): void {
    for (const { graph } of this.#hosts.values()) graph.flush();
  }

  host(hostname: string): Host {
    const host = this.#hosts.get(hostname);
    if (host === undefined) throw new Error(`no host ${hostname}`);
    return host;
  }

  /** Egress of the sender, ingress of the receiver: those of the two that are workloads. */
  verdict(world: World, packet: WorldPacket): 'allow' | 'deny' {
    const seen = seenPacket(world, packet);
    const ends = [
      [packet.from, 'egress'],
      [packet.to, 'ingress'],
    ] as const;
    const allowed = ends.every(([name, direction]) => {
      const place = placeOf(world, name);
      if (place.type !== 'workload') return true;
      const { state } = this.host(place.node);
      const endpoint = state.endpointOn(interfaceOf(name));
      return endpoint !== undefined && state.allows(endpoint, direction, seen);
    });
    return allowed ? 'allow' : 'deny';
  }
}

function createHost(hostname: string): Host {
  const state = new DesiredState();
  const graph = new CalcGraph({ hostname, onUpdate: (update) => state.onUpdate(update) });
  return { graph, state };
}
