/** Ports of host endpoints that no policy closes, as the programs look them up (struct mgy_failsafe). */
import type { FailsafePort } from '../../base/net/failsafe-port.js';
import type { BpfMap } from '../../kernel/addon.js';
import {
  MGY_FAILSAFE_NET_BITS,
  MGY_FAILSAFE_PORT_BITS,
  MGY_FAILSAFES,
  mgyFailsafe,
} from './abi.gen.js';

export interface FailsafePorts {
  readonly inbound: readonly FailsafePort[];
  readonly outbound: readonly FailsafePort[];
}

/**
 * Enters both lists in a map that no packet is judged by yet.
 *
 * @throws RangeError when there are more than the map holds.
 */
export function writeFailsafePorts(map: BpfMap, { inbound, outbound }: FailsafePorts): void {
  const count = inbound.length + outbound.length;
  if (count > MGY_FAILSAFES)
    throw new RangeError(`${count} failsafe ports, at most ${MGY_FAILSAFES} are possible`);
  for (const port of inbound) map.update(keyOf(port, 0), Uint8Array.of(1));
  for (const port of outbound) map.update(keyOf(port, 1), Uint8Array.of(1));
}

function keyOf({ protocol, port, net }: FailsafePort, out: 0 | 1): Uint8Array {
  const { offset, size } = mgyFailsafe;
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(offset.bits, MGY_FAILSAFE_PORT_BITS, true);
  view.setUint8(offset.out, out);
  view.setUint8(offset.proto, protocol);
  view.setUint16(offset.port, port);
  if (net !== undefined) {
    const { address, prefixLength } = net;
    view.setUint32(offset.bits, MGY_FAILSAFE_NET_BITS + prefixLength, true);
    view.setUint32(offset.family, address.family, true);
    const words =
      address.family === 4 ? [address.value] : [address.w0, address.w1, address.w2, address.w3];
    for (const [i, word] of words.entries()) view.setUint32(offset.addr + i * 4, word);
  }
  return new Uint8Array(view.buffer);
}
