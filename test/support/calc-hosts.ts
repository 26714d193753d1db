/** One calculation per host, all fed with the same objects, and verdicts on packets through these hosts. */
import { CalcGraph } from '../../src/calc/graph.js';
import type { ResourceUpdate } from '../../src/model/update.js';
import { DesiredState } from './desired-evaluator.js';
import { DesiredHost, hopsOf, Passage, type Verdict } from './desired-path.js';
import type { World, WorldPacket } from './policy-world.js';

interface Host {
  readonly graph: CalcGraph;
  readonly state: DesiredState;
}

export class CalcHosts {
  readonly #hosts: ReadonlyMap<string, Host>;

  /** `onChange` hears of every update once the state of the host has it. */
  constructor(hostnames: readonly string[], onChange: () => void = () => {}) {
    this.#hosts = new Map(hostnames.map((hostname) => [hostname, createHost(hostname, onChange)]));
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

  /** What becomes of packets, as long as neither the world nor any state changes. */
  judge(world: World): (packet: WorldPacket) => Verdict {
    const hosts = new Map(
      [...this.#hosts].map(([node, { state }]) => [node, new DesiredHost(world, node, state)]),
    );
    return (packet) => {
      for (const hop of hopsOf(world, packet)) {
        const host = hosts.get(hop.node);
        if (host === undefined) throw new Error(`no host ${hop.node}`);
        if (new Passage({ world, host, hop, packet }).verdict() === 'deny') return 'deny';
      }
      return 'allow';
    };
  }

  /** What becomes of one packet; on every host that it visits, in order. */
  verdict(world: World, packet: WorldPacket): Verdict {
    return this.judge(world)(packet);
  }
}

function createHost(hostname: string, onChange: () => void): Host {
  const state = new DesiredState();
  const onUpdate: ConstructorParameters<typeof CalcGraph>[0]['onUpdate'] = (update) => {
    state.onUpdate(update);
    onChange();
  };
  return { graph: new CalcGraph({ hostname, onUpdate }), state };
}
