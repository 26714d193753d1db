/** Packets in the agent's log: those a Log rule asks for, and dropped ones if wanted; a bounded number each second. */
import type { Log } from '../../base/log.js';
import type { PacketSighting } from '../../model/flow.js';

const LINES_PER_SECOND = 100;

export class PacketLog {
  readonly #log: Log;
  readonly #drops: boolean;
  #second = 0;
  #lines = 0;
  #suppressed = 0;

  constructor({ log, drops }: { readonly log: Log; readonly drops: boolean }) {
    this.#log = log;
    this.#drops = drops;
  }

  onPacket(packet: PacketSighting): void {
    if (!packet.log && (packet.allow || !this.#drops)) return;
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      if (this.#suppressed > 0)
        this.#log.warn({ suppressed: this.#suppressed }, 'packet events not logged');
      this.#second = second;
      this.#lines = 0;
      this.#suppressed = 0;
    }
    if (++this.#lines > LINES_PER_SECOND) {
      this.#suppressed++;
      return;
    }
    const { tuple, allow, reason, decisions, ifindex, bytes, repeats } = packet;
    const told = { ...tuple, allow, reason, decisions, ifindex, bytes, repeats };
    this.#log.info({ packet: told }, 'packet');
  }
}
