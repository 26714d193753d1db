/**
 * Which host endpoint governs which interface, and in which stages (spec/policy.md 2.3, 15.3). Pure: the dataplane
 * asks again whenever host endpoints, interfaces or their addresses change. The loopback is never policed.
 */
import type { DesiredHostEndpoint, EndpointId, PolicyStage } from './desired.js';

/** The name of "whatever interface no other host endpoint governs". */
export const WILDCARD_INTERFACE = '*';
const LOOPBACK = 'lo';

export type AttachableEndpoint = Pick<DesiredHostEndpoint, 'interfaceName' | 'expectedIPs'>;

export interface AttachableInterface {
  readonly name: string;
  /** Bare canonical addresses that it has now, of both families. */
  readonly addresses: readonly string[];
  /** Host side of a workload's link: its name begins with one of the agent's interface prefixes. */
  readonly isWorkload: boolean;
}

export interface HostEndpointAttachment {
  readonly endpoint: EndpointId;
  /** Policy of other stages, and profiles without 'normal', do not concern the interface. */
  readonly stages: readonly PolicyStage[];
}

export interface HostEndpointAttachments {
  /** By interface; what is not here is not policed as a host interface. */
  readonly byInterface: ReadonlyMap<string, HostEndpointAttachment>;
  /** Host endpoints that name the loopback or a workload interface: worth a warning, for they govern nothing. */
  readonly misplaced: readonly EndpointId[];
}

const OWN_STAGES: readonly PolicyStage[] = ['untracked', 'preDnat', 'normal', 'forward'];
const WILDCARD_STAGES: readonly PolicyStage[] = ['preDnat', 'normal', 'forward'];
const WORKLOAD_STAGES: readonly PolicyStage[] = ['preDnat', 'forward'];

/** `endpoints` are those of this host. The answer does not depend on the order of either. */
export function attachHostEndpoints(
  endpoints: ReadonlyMap<EndpointId, AttachableEndpoint>,
  interfaces: readonly AttachableInterface[],
): HostEndpointAttachments {
  const byName = new Map<string, EndpointId>();
  const byAddress = new Map<string, EndpointId>();
  // Names are ASCII, so the order of UTF-16 units is the order of bytes; the first to come stays.
  for (const [id, { interfaceName, expectedIPs }] of [...endpoints].sort(byId)) {
    if (interfaceName !== '') claim(byName, interfaceName, id);
    else for (const address of expectedIPs) claim(byAddress, address, id);
  }
  const byInterface = new Map<string, HostEndpointAttachment>();
  for (const one of interfaces) {
    const attachment = choose(one, byName, byAddress);
    if (attachment !== undefined) byInterface.set(one.name, attachment);
  }
  const closed = new Set(interfaces.filter(({ isWorkload }) => isWorkload).map(({ name }) => name));
  closed.add(LOOPBACK);
  const misplaced = [...endpoints].filter(([, { interfaceName }]) => closed.has(interfaceName));
  return { byInterface, misplaced: misplaced.map(([id]) => id).sort() };
}

function choose(
  { name, addresses, isWorkload }: AttachableInterface,
  byName: ReadonlyMap<string, EndpointId>,
  byAddress: ReadonlyMap<string, EndpointId>,
): HostEndpointAttachment | undefined {
  if (name === LOOPBACK) return undefined;
  const wildcard = byName.get(WILDCARD_INTERFACE);
  if (!isWorkload) {
    const [first] = addresses.flatMap((address) => byAddress.get(address) ?? []).sort();
    const own = byName.get(name) ?? first;
    if (own !== undefined) return { endpoint: own, stages: OWN_STAGES };
  }
  if (wildcard === undefined) return undefined;
  return { endpoint: wildcard, stages: isWorkload ? WORKLOAD_STAGES : WILDCARD_STAGES };
}

function claim(claims: Map<string, EndpointId>, what: string, id: EndpointId): void {
  if (!claims.has(what)) claims.set(what, id);
}

function byId([a]: readonly [EndpointId, unknown], [b]: readonly [EndpointId, unknown]): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
