/**
 * Which workload endpoints this host must enforce: those of this host that have an address. Of several that
 * claim one interface, the first by (orchestrator, workload, endpoint) is active and the others wait for it to
 * go (spec/policy.md 2.2, spec/networking.md 3).
 */
import type { EndpointId } from '../model/desired.js';
import type { OwnLabels } from './effective-labels.js';
import type { WorkloadEndpointSpec } from './stored-objects.js';

export interface StoredWorkload {
  readonly namespace: string | undefined;
  readonly spec: WorkloadEndpointSpec;
  readonly labels: OwnLabels;
}

export class LocalEndpointFilter {
  readonly #hostname: string;
  readonly #onLocalEndpoint: (id: EndpointId, endpoint: StoredWorkload | null) => void;
  readonly #interfaceById = new Map<EndpointId, string>();
  readonly #claims = new Map<string, Map<EndpointId, StoredWorkload>>();
  readonly #activeByInterface = new Map<string, EndpointId>();

  constructor(
    hostname: string,
    onLocalEndpoint: (id: EndpointId, endpoint: StoredWorkload | null) => void,
  ) {
    this.#hostname = hostname;
    this.#onLocalEndpoint = onLocalEndpoint;
  }

  onWorkloadEndpoint(id: EndpointId, endpoint: StoredWorkload | null): void {
    const claimed = endpoint === null ? undefined : this.#claimOf(endpoint);
    const before = this.#interfaceById.get(id);
    if (before !== undefined && before !== claimed) {
      this.#interfaceById.delete(id);
      const claims = this.#claims.get(before);
      claims?.delete(id);
      if (claims?.size === 0) this.#claims.delete(before);
      this.#elect(before, id);
    }
    if (claimed === undefined || endpoint === null) return;
    this.#interfaceById.set(id, claimed);
    const claims = this.#claims.get(claimed) ?? new Map<EndpointId, StoredWorkload>();
    this.#claims.set(claimed, claims.set(id, endpoint));
    this.#elect(claimed, id);
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      endpoints: this.#interfaceById.size,
      interfaces: this.#claims.size,
      active: this.#activeByInterface.size,
    };
  }

  /** The interface it may have on this host; undefined when it is not ours or has no address yet. */
  #claimOf({ spec }: StoredWorkload): string | undefined {
    if (spec.node !== this.#hostname || (spec.ipNetworks ?? []).length === 0) return undefined;
    return spec.interfaceName === '' ? undefined : spec.interfaceName;
  }

  /** Tells what changed after a claim of `changed` on the interface came, changed or went. */
  #elect(interfaceName: string, changed: EndpointId): void {
    const before = this.#activeByInterface.get(interfaceName);
    const claims = this.#claims.get(interfaceName);
    let winner: EndpointId | undefined;
    for (const [id, endpoint] of claims ?? []) {
      const rival = winner === undefined ? undefined : claims?.get(winner);
      if (winner === undefined || rival === undefined) winner = id;
      else if (rank(id, endpoint) < rank(winner, rival)) winner = id;
    }
    if (winner === before && winner !== changed) return;
    if (winner === undefined) this.#activeByInterface.delete(interfaceName);
    else this.#activeByInterface.set(interfaceName, winner);
    if (before !== undefined && before !== winner) this.#onLocalEndpoint(before, null);
    const endpoint = winner === undefined ? undefined : claims?.get(winner);
    if (winner !== undefined && endpoint !== undefined) this.#onLocalEndpoint(winner, endpoint);
  }
}

/** Sorts as the tuple (orchestrator, workload, endpoint) does; the id makes it unique. */
function rank(id: EndpointId, { namespace, spec }: StoredWorkload): string {
  const workload = spec.pod ?? spec.containerID ?? spec.workload ?? '';
  return [spec.orchestrator, `${namespace}/${workload}`, spec.endpoint, id].join('\u0000');
}
