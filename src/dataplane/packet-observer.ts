/** What a dataplane lets others see of packets. All of it is optional reading: enforcement never depends on it. */
import type { KernelVerdict } from '../model/decision.js';
import type { FlowSighting, FlowTuple, RuleHits } from '../model/flow.js';

export interface PacketObserver {
  /** One listener; sightings before it are lost. It must not throw. */
  onSighting(listener: (sighting: FlowSighting) => void): void;
  /** Tell of connections the moment they begin, not only at the next sweep: costs each of them a little. */
  watchStarts(on: boolean): void;
  /** Records that could not be written, since the maps were made. */
  lost(): number;
  /** What came since the last call. */
  takeRuleHits(): readonly RuleHits[];
  /**
   * What the kernel's tables say of the first packet of a connection.
   *
   * @throws RangeError for addresses of a family that these tables do not hold.
   */
  verdict(tuple: FlowTuple): KernelVerdict;
}
