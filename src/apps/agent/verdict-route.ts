/** Tells what this host's kernel would do with a packet, by its own tables: the kernel's half of `margay why`. */
import { parseIp } from '../../base/net/ip.js';
import type { KernelVerdict, SideVerdict } from '../../model/decision.js';
import {
  type KernelSide,
  parseVerdictQuery,
  type VerdictAnswer,
} from '../../observe/agent-protocol.js';
import type { FlowPacket } from '../../observe/flow-packet.js';
import { hitsOf, type RuleOwners } from '../../observe/policy-attribution.js';
import { answer, type ControlRoute, refuse } from './control-server.js';

export interface VerdictSource {
  readonly host: string;
  readonly dataplane: string;
  readonly acceptToHost: boolean;
  readonly rules: RuleOwners;
  readonly revisionProgrammed: () => string;
  /** @throws RangeError for packets of a kind that the dataplane does not judge. */
  readonly verdict: (packet: FlowPacket) => KernelVerdict;
}

export function verdictRoute(source: VerdictSource): ControlRoute {
  return (query, response) => {
    const packet = parseVerdictQuery(query);
    if (packet === null || [packet.source, packet.destination].some((one) => !parseIp(one))) {
      refuse(response, 400, 'wanted: source, destination, protocol, sourcePort, destinationPort');
      return;
    }
    let verdict: KernelVerdict;
    try {
      verdict = source.verdict(packet);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refuse(response, 422, error.message);
      return;
    }
    const side = (one: SideVerdict | null): KernelSide | null =>
      one === null ? null : { ...one, hits: hitsOf(one.decisions, one.allow, source.rules) };
    const { host, dataplane, acceptToHost } = source;
    const told: VerdictAnswer = {
      ...{ host, dataplane, acceptToHost, revision: source.revisionProgrammed() },
      ...{ egress: side(verdict.egress), ingress: side(verdict.ingress), ready: verdict.ready },
    };
    answer(response, told);
  };
}

/** As the tables look it up: an ICMP type and code in place of the destination port. */
export function packetOf({ icmp, ...packet }: FlowPacket): Omit<FlowPacket, 'icmp'> {
  return icmp === undefined ? packet : { ...packet, destinationPort: (icmp.type << 8) | icmp.code };
}
