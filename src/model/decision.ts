/** What decided about a packet at one end: the contract between whoever decides and whoever tells people. */
import type { PolicyId, ProfileId } from './desired.js';

/** Policy's direction, seen from the endpoint. */
export type Direction = 'ingress' | 'egress';

/** A rule, or the lack of one, that had a say. */
export type Decision =
  | {
      readonly by: 'policy';
      readonly id: PolicyId;
      readonly direction: Direction;
      /** Position in the policy as the user wrote it. */
      readonly index: number;
    }
  | {
      readonly by: 'profile';
      readonly id: ProfileId;
      readonly direction: Direction;
      readonly index: number;
    }
  | { readonly by: 'end-of-tier'; readonly tier: string; readonly direction: Direction }
  | { readonly by: 'missing-profile'; readonly id: ProfileId; readonly direction: Direction }
  | { readonly by: 'no-match'; readonly direction: Direction };

/** Equal for equal decisions, different for different ones; stable over restarts. */
export function decisionKey(decision: Decision): string {
  const { by, direction } = decision;
  switch (decision.by) {
    case 'policy':
    case 'profile':
      return `${by} ${direction} ${decision.index} ${decision.id}`;
    case 'end-of-tier':
      return `${by} ${direction} ${decision.tier}`;
    case 'missing-profile':
      return `${by} ${direction} ${decision.id}`;
    case 'no-match':
      return `${by} ${direction}`;
    default:
      return decision satisfies never;
  }
}

/** Of a list: Log and Pass rules on the way, then what decided. */
export function decisionsKey(decisions: readonly Decision[]): string {
  return decisions.map(decisionKey).join('\n');
}

/** What one end's policy says. */
export interface SideVerdict {
  readonly allow: boolean;
  /** A Log rule matched on the way. */
  readonly log: boolean;
  /** Empty: closed for an error, or not known any more. */
  readonly decisions: readonly Decision[];
}

/** What a host's kernel does with the first packet of a connection. null: no workload of this host at that end. */
export interface KernelVerdict {
  readonly egress: SideVerdict | null;
  readonly ingress: SideVerdict | null;
  /** false: the destination is a workload of this host that is not delivered to yet. */
  readonly ready: boolean;
}
