/** Ports of host endpoints that no policy closes, as the programs read them (struct mgy_failsafe). */
import type { FailsafePort } from '../../base/net/failsafe-port.js';
import { MGY_FAILSAFES, mgyFailsafe } from './abi.gen.js';

export interface FailsafePorts {
  readonly inbound: readonly FailsafePort[];
  readonly outbound: readonly FailsafePort[];
}

/**
 * Writes the list to memory that no packet reads yet.
 *
 * @throws RangeError when there are more than the programs read.
 */
export function writeFailsafePorts(memory: ArrayBuffer, ports: FailsafePorts): void {
  const entries = [
    ...ports.inbound.map((port) => ({ port, out: 0 })),
    ...ports.outbound.map((port) => ({ port, out: 1 })),
  ];
  if (entries.length > MGY_FAILSAFES) {
    throw new RangeError(`${entries.length} failsafe ports, at most ${MGY_FAILSAFES} are possible`);
  }
  const view = new DataView(memory);
  const { offset, size } = mgyFailsafe;
  for (const [i, { out, port: failsafe }] of entries.entries()) {
    const { protocol, port, net } = failsafe;
    const at = i * size;
    view.setUint8(at + offset.out, out);
    view.setUint8(at + offset.proto, protocol);
    view.setUint16(at + offset.port, port, true);
    if (net === undefined) continue;
    const { address, prefixLength } = net;
    view.setUint8(at + offset.family, address.family);
    view.setUint8(at + offset.prefix, prefixLength);
    const words =
      address.family === 4 ? [address.value] : [address.w0, address.w1, address.w2, address.w3];
    for (const [word, value] of words.entries()) view.setUint32(at + offset.addr + word * 4, value);
  }
}
