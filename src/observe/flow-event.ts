/** One decision about, or the end of, one connection: what `margay flows` shows (spec/flows.md 5). */
import type { Decision } from '../model/decision.js';
import type { ConnectionSighting, FlowSighting, PacketSighting } from '../model/flow.js';
import type { EndpointName, EndpointNames } from './endpoint-names.js';
import { protocolName } from './flow-packet.js';
import { hitsOf, type PolicyHit, type RuleOwners } from './policy-attribution.js';

export interface FlowEnd {
  readonly ip: string;
  readonly port: number;
  readonly endpoint: EndpointName;
}

export interface Amounts {
  /** From source to destination. */
  readonly out: number;
  readonly in: number;
}

export interface FlowEvent {
  /** Per node; a gap means that events were lost. */
  readonly seq: number;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly node: string;
  /** verdict: of policy; drop: for another reason; end: of a connection. */
  readonly type: 'verdict' | 'drop' | 'end';
  readonly verdict: 'Allow' | 'Deny';
  /** 'policy' where rules decided, else as docs/reference/drop-reasons.md, with underscores. */
  readonly reason: string;
  /** Whose policy had the last word. */
  readonly direction: 'ingress' | 'egress';
  readonly reporter: 'Src' | 'Dst';
  readonly proto: string;
  readonly src: FlowEnd;
  readonly dst: FlowEnd;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** Of connections: totals since they began. */
  readonly packets?: Amounts;
  readonly bytes?: Amounts;
  readonly policies: {
    /** Of the side that had the last word. */
    readonly enforced: readonly PolicyHit[];
    /** null: this host did not ask policy at that end. */
    readonly egress: readonly PolicyHit[] | null;
    readonly ingress: readonly PolicyHit[] | null;
  };
  readonly logged: boolean;
  /** Packets like it that were not told of by themselves. */
  readonly repeats: number;
}

export interface FlowEventMakerOptions {
  readonly node: string;
  readonly names: EndpointNames;
  readonly rules: RuleOwners;
  /** Milliseconds since the epoch of a CLOCK_MONOTONIC time. */
  readonly wallTime: (ns: bigint) => number;
}

/** Drops that rules decided, and at whose side: of a workload, or of a host endpoint in one of its stages. */
const BY_POLICY: ReadonlyMap<string, FlowEvent['direction']> = new Map([
  ['drop_policy_out', 'egress'],
  ['drop_host_out', 'egress'],
  ['drop_forward_out', 'egress'],
  ['drop_policy_in', 'ingress'],
  ['drop_host_in', 'ingress'],
  ['drop_forward_in', 'ingress'],
  ['drop_pre_dnat', 'ingress'],
  ['drop_untracked', 'ingress'],
]);

/** Names what was seen, as things are called at this moment. */
export class FlowEventMaker {
  readonly #options: FlowEventMakerOptions;
  /** Decisions are shared by all packets that met the same rules. */
  readonly #allowHits = new WeakMap<readonly Decision[], readonly PolicyHit[]>();
  readonly #denyHits = new WeakMap<readonly Decision[], readonly PolicyHit[]>();
  #seq = 0;

  constructor(options: FlowEventMakerOptions) {
    this.#options = options;
  }

  make(sighting: FlowSighting): FlowEvent {
    const { node, names, wallTime } = this.#options;
    const { tuple } = sighting;
    const source = names.find(tuple.source, { node });
    const destination = names.find(tuple.destination, { node, namespace: source.namespace });
    return {
      seq: ++this.#seq,
      time: new Date(wallTime(sighting.atNs)).toISOString(),
      node,
      ...this.#verdict(sighting),
      proto: protocolName(tuple.protocol),
      src: { ip: tuple.source, port: tuple.sourcePort, endpoint: source },
      dst: { ip: tuple.destination, port: tuple.destinationPort, endpoint: destination },
      ...(tuple.icmp === undefined ? {} : { icmp: tuple.icmp }),
      ...(sighting.type === 'packet' ? packetFields(sighting) : connectionFields(sighting)),
    };
  }

  #verdict(
    sighting: FlowSighting,
  ): Pick<FlowEvent, 'type' | 'verdict' | 'reason' | 'direction' | 'reporter' | 'policies'> {
    const { decisions } = sighting;
    const reason = sighting.type === 'packet' ? sighting.reason : 'ok_new';
    const allow = sighting.type === 'connection' || sighting.allow;
    const denier = BY_POLICY.get(reason);
    const byPolicy = allow || denier !== undefined;
    const isEgress = denier === undefined ? decisions.ingress === null : denier === 'egress';
    const egress = this.#hits(decisions.egress, denier !== 'egress');
    const ingress = this.#hits(decisions.ingress, denier !== 'ingress');
    const ended = sighting.type === 'connection' && sighting.ended;
    return {
      type: ended ? 'end' : byPolicy ? 'verdict' : 'drop',
      verdict: allow ? 'Allow' : 'Deny',
      reason: byPolicy ? 'policy' : reason.replace(/^drop_/, ''),
      direction: isEgress ? 'egress' : 'ingress',
      reporter: isEgress ? 'Src' : 'Dst',
      policies: { enforced: (isEgress ? egress : ingress) ?? [], egress, ingress },
    };
  }

  #hits(decisions: readonly Decision[] | null, allow: boolean): readonly PolicyHit[] | null {
    if (decisions === null) return null;
    const cache = allow ? this.#allowHits : this.#denyHits;
    const known = cache.get(decisions);
    if (known !== undefined) return known;
    const hits = hitsOf(decisions, allow, this.#options.rules);
    cache.set(decisions, hits);
    return hits;
  }
}

function packetFields({ log, repeats }: PacketSighting): Pick<FlowEvent, 'logged' | 'repeats'> {
  return { logged: log, repeats };
}

function connectionFields(
  seen: ConnectionSighting,
): Pick<FlowEvent, 'packets' | 'bytes' | 'logged' | 'repeats'> {
  return {
    packets: { out: seen.packets, in: seen.packetsBack },
    bytes: { out: seen.bytes, in: seen.bytesBack },
    logged: false,
    repeats: 0,
  };
}
