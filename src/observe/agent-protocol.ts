/** What an agent answers on its control socket: HTTP over a unix socket in the run directory, JSON bodies. */
import type { SideVerdict } from '../model/decision.js';
import type { FlowPacket } from './flow-packet.js';
import type { PolicyHit } from './policy-attribution.js';

/** In MARGAY_RUN_DIR; mode 0600. */
export const CONTROL_SOCKET = 'agent.sock';
export const VERDICT_PATH = '/api/v1/verdict';

export interface KernelSide extends SideVerdict {
  readonly hits: readonly PolicyHit[];
}

export interface VerdictAnswer {
  readonly host: string;
  readonly dataplane: string;
  /** Datastore revision that the kernel was last made to match. */
  readonly revision: string;
  /** null: no workload of this host at that end. */
  readonly egress: KernelSide | null;
  readonly ingress: KernelSide | null;
  readonly ready: boolean;
  /** A workload may talk to its own host once its egress policy allows. */
  readonly acceptToHost: boolean;
}

export function verdictQuery(packet: FlowPacket): string {
  const { source, destination, protocol, sourcePort, destinationPort, icmp } = packet;
  const query = new URLSearchParams({
    ...{ source, destination, protocol: String(protocol) },
    ...{ sourcePort: String(sourcePort), destinationPort: String(destinationPort) },
    ...(icmp === undefined ? {} : { icmp: `${icmp.type}:${icmp.code}` }),
  });
  return `${VERDICT_PATH}?${query}`;
}

/** @returns null for what verdictQuery() does not write. */
export function parseVerdictQuery(query: URLSearchParams): FlowPacket | null {
  const number = (name: string, max: number): number => {
    const text = query.get(name) ?? '';
    return /^\d{1,5}$/.test(text) && Number(text) <= max ? Number(text) : Number.NaN;
  };
  const [type, code] = (query.get('icmp') ?? '').split(':').map(Number);
  const packet = {
    source: query.get('source') ?? '',
    destination: query.get('destination') ?? '',
    protocol: number('protocol', 255),
    sourcePort: number('sourcePort', 65_535),
    destinationPort: number('destinationPort', 65_535),
  };
  const numbers = [packet.protocol, packet.sourcePort, packet.destinationPort];
  if (numbers.some(Number.isNaN)) return null;
  if (!query.has('icmp')) return packet;
  if (!isByte(type) || !isByte(code)) return null;
  return { ...packet, icmp: { type, code } };
}

function isByte(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= 255;
}
