/** Tells what this host's kernel would do with a packet, by its own tables: the kernel's half of `margay why`. */
import { parseIp } from '../../base/net/ip.js';
import type { Decision, KernelVerdict, SideVerdict } from '../../model/decision.js';
import {
  type KernelSide,
  parseVerdictQuery,
  type VerdictAnswer,
} from '../../observe/agent-protocol.js';
import type { FlowPacket } from '../../observe/flow-packet.js';
import { hitsOf, type RuleOwners } from '../../observe/policy-attribution.js';
import type { RuleCount } from '../../observe/rule-statistics.js';
import { answer, type ControlRoute, refuse } from './control-server.js';

export interface VerdictSource {
  readonly host: string;
  readonly dataplane: string;
  readonly acceptToHost: boolean;
  readonly rules: RuleOwners;
  readonly revisionProgrammed: () => string;
  readonly count: (decision: Decision) => RuleCount | undefined;
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
      one === null ? null : kernelSide(one, source);
    const { host, dataplane, acceptToHost } = source;
    const told: VerdictAnswer = {
      ...{ host, dataplane, acceptToHost, revision: source.revisionProgrammed() },
      ...{ egress: side(verdict.egress), ingress: side(verdict.ingress), ready: verdict.ready },
    };
    answer(response, told);
  };
}

function kernelSide(verdict: SideVerdict, { rules, count }: VerdictSource): KernelSide {
  const last = verdict.decisions.at(-1);
  const counted = last === undefined ? undefined : count(last);
  const hits = hitsOf(verdict.decisions, verdict.allow, rules);
  if (counted === undefined) return { ...verdict, hits, count: null };
  const { decision: _, ...numbers } = counted;
  return { ...verdict, hits, count: numbers };
}
