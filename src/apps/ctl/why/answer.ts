/** Puts together what `margay why` knows: each end's policy by the calculation, beside the kernel's own verdict. */
import { decisionsKey, type Direction } from '../../../model/decision.js';
import type { KernelSide, VerdictAnswer } from '../../../observe/agent-protocol.js';
import type { DesiredPicture } from '../../../observe/desired-picture.js';
import { type Explanation, explain, type JudgedEndpoint } from '../../../observe/explanation.js';
import type { FlowPacket } from '../../../observe/flow-packet.js';
import { hitsOf, type PolicyHit } from '../../../observe/policy-attribution.js';
import { describeDecision, type RuleBook } from './rule-book.js';
import type { End } from './ends.js';

/** What this host's kernel says of one end. */
export type KernelView =
  | { readonly asked: false; readonly reason: string }
  | {
      readonly asked: true;
      readonly host: string;
      readonly allow: boolean;
      readonly policies: readonly PolicyHit[];
      readonly agrees: boolean;
      /** How much the deciding rule has decided on that host since its agent started. */
      readonly count: KernelSide['count'];
      /** Why a difference may be no fault; empty otherwise. */
      readonly note: string;
    };

/** One end's policy. */
export interface SideAnswer {
  readonly direction: Direction;
  readonly end: End;
  /** false: no policy has a say at this end. */
  readonly asked: boolean;
  readonly allow: boolean;
  readonly policies: readonly PolicyHit[];
  /** In words: what decided. */
  readonly reason: string;
  /** In words: what the packet met on the way, one line each. */
  readonly steps: readonly string[];
  /** In words: what would lead to another verdict, one line each. */
  readonly changes: readonly string[];
  readonly kernel: KernelView;
}

export interface WhyAnswer {
  readonly packet: FlowPacket;
  readonly revision: string;
  readonly allow: boolean;
  readonly egress: SideAnswer;
  readonly ingress: SideAnswer;
  /** null: no kernel was asked. */
  readonly kernelAgrees: boolean | null;
  /** What neither policy decides. */
  readonly notes: readonly string[];
}

export interface Inquiry {
  readonly packet: FlowPacket;
  readonly source: End;
  readonly destination: End;
  readonly revision: string;
  readonly pictures: ReadonlyMap<string, DesiredPicture>;
  readonly rules: RuleBook;
  /** This host's agent, or why it was not asked. */
  readonly kernel: VerdictAnswer | string;
}

export function answerWhy(inquiry: Inquiry): WhyAnswer {
  const { packet, revision } = inquiry;
  const egress = sideAnswer(inquiry, 'egress');
  const ingress = sideAnswer(inquiry, 'ingress');
  const verdicts = [egress, ingress].flatMap(({ kernel }) => (kernel.asked ? [kernel.agrees] : []));
  const kernelAgrees = verdicts.length === 0 ? null : verdicts.every(Boolean);
  const allow = egress.allow && ingress.allow;
  return { packet, revision, allow, egress, ingress, kernelAgrees, notes: notesOf(inquiry) };
}

/** The endpoint whose policy is asked at that end, and what its host would enforce. */
function judgedAt(
  { pictures }: Inquiry,
  { kind, endpoint, node = '', address }: End,
): { readonly picture: DesiredPicture; readonly judged: JudgedEndpoint } | null {
  const picture = pictures.get(node);
  if (picture === undefined) return null;
  if (kind === 'workload') {
    const judged = endpoint === undefined ? undefined : picture.workloads.get(endpoint);
    return judged === undefined ? null : { picture, judged };
  }
  const hosts = [...picture.hosts.values()];
  const host =
    hosts.find(({ expectedIPs }) => expectedIPs.includes(address)) ??
    hosts.find(({ interfaceName }) => interfaceName === '*');
  if (host === undefined) return null;
  return { picture, judged: { tiers: host.tiers.normal, profiles: host.profiles } };
}

function sideAnswer(inquiry: Inquiry, direction: Direction): SideAnswer {
  const end = direction === 'egress' ? inquiry.source : inquiry.destination;
  const found = judgedAt(inquiry, end);
  if (found === null || isOwnHostToWorkload(inquiry, direction)) {
    const reason = unaskedReason(inquiry, end, direction);
    const kernel: KernelView = { asked: false, reason: 'there is nothing to ask' };
    const nothing = { policies: [], steps: [], changes: [], kernel };
    // A workload that calc leaves out is not programmed: nothing gets there.
    const allow = end.kind !== 'workload' || found !== null;
    return { direction, end, asked: false, allow, reason, ...nothing };
  }
  const { picture, judged } = found;
  const { packet, rules } = inquiry;
  const explanation = explain({ picture, endpoint: judged, direction, packet });
  const { allow, decisions } = explanation;
  const last = decisions.at(-1);
  return {
    ...{ direction, end, asked: true, allow },
    policies: hitsOf(decisions, allow, {
      policy: (id) => picture.policies.get(id),
      profile: (id) => picture.profiles.get(id),
    }),
    reason: explanation.error ?? (last === undefined ? '' : describeDecision(last, rules)),
    steps: explanation.steps.map((step) => stepText(step, rules)),
    changes: changesOf(explanation, rules),
    kernel: kernelView(inquiry, end, explanation),
  };
}

/** A process of the workload's own host is never stopped (spec/policy.md 6). */
function isOwnHostToWorkload({ source, destination }: Inquiry, direction: Direction): boolean {
  return (
    direction === 'ingress' &&
    source.kind === 'host' &&
    destination.kind === 'workload' &&
    source.node === destination.node
  );
}

function unaskedReason(inquiry: Inquiry, end: End, direction: Direction): string {
  if (isOwnHostToWorkload(inquiry, direction)) {
    return `${end.name} accepts everything from processes of its own host ${end.node}`;
  }
  switch (end.kind) {
    case 'workload':
      return `${end.name} is not enforced: its endpoint is invalid, or another has its interface`;
    case 'host':
      return `no host endpoint with this address: policy has no say about processes of ${end.name}`;
    case 'external':
      return `${end.name} is no endpoint of this cluster`;
    default:
      return end.kind satisfies never;
  }
}

function stepText(
  { tier, owner, decision, action }: Explanation['steps'][number],
  rules: RuleBook,
) {
  const outcome = action === null ? 'no rule matched' : `${action}`;
  if (decision !== null) return `${describeDecision(decision, rules)}: ${outcome}`;
  return `${rules.ownerName(owner ?? '')}${tier === null ? '' : ` (tier ${tier})`}: ${outcome}`;
}

const CHANGES_MAX = 10;

function changesOf(explanation: Explanation, rules: RuleBook): readonly string[] {
  const { allow, direction, nearMisses, otherwise, decisions } = explanation;
  const near = nearMisses.map(({ owner, index, because }) => {
    const rule = rules.describe({ owner, direction, index });
    return `${rule} would ${allow ? 'deny' : 'allow'} it, but ${because.join(', ')}`;
  });
  const lines = near.slice(0, CHANGES_MAX);
  if (near.length > CHANGES_MAX) lines.push(`and ${near.length - CHANGES_MAX} rules like these`);
  if (otherwise !== null && otherwise.allow !== allow) {
    const by =
      otherwise.decision === null ? '' : `: ${describeDecision(otherwise.decision, rules)}`;
    lines.push(`without that rule it would be ${otherwise.allow ? 'allowed' : 'denied'}${by}`);
  }
  const last = decisions.at(-1);
  if (last?.by === 'end-of-tier') {
    lines.push(
      `a rule of tier ${last.tier} that allows it, in a policy that selects this endpoint, would let it pass`,
    );
  }
  if (last?.by === 'no-match') lines.push('a policy or a profile with a rule that allows it');
  return lines;
}

function kernelView(inquiry: Inquiry, end: End, explanation: Explanation): KernelView {
  const { kernel } = inquiry;
  if (typeof kernel === 'string') return { asked: false, reason: kernel };
  if (end.kind === 'host') {
    return { asked: false, reason: 'tables of host endpoints are not read' };
  }
  if (kernel.host !== end.node) {
    return { asked: false, reason: `this is host ${kernel.host}: run the same on ${end.node}` };
  }
  const { direction, allow, decisions } = explanation;
  const side: KernelSide | null = kernel[direction];
  const { host } = kernel;
  if (side === null) {
    const note = 'the kernel knows no workload of this host with that address';
    return { asked: true, host, allow: false, policies: [], count: null, agrees: false, note };
  }
  const agrees = side.allow === allow && decisionsKey(side.decisions) === decisionsKey(decisions);
  const lag = kernel.revision !== inquiry.revision;
  const note = agrees || !lag ? '' : `it has programmed revision ${kernel.revision} so far`;
  const { hits: policies, count } = side;
  return { asked: true, host, allow: side.allow, policies, count, agrees, note };
}

function notesOf({ source, destination, kernel }: Inquiry): readonly string[] {
  const notes: string[] = [];
  if (
    source.kind === 'workload' &&
    destination.kind === 'host' &&
    source.node === destination.node
  ) {
    const known = typeof kernel !== 'string' && kernel.host === source.node;
    const action = known ? (kernel.acceptToHost ? 'accepts' : 'drops') : 'drops, by default,';
    notes.push(
      `DefaultEndpointToHostAction of ${source.node} ${action} what its workloads send to it and egress policy allows`,
    );
  }
  if (typeof kernel !== 'string' && kernel.host === destination.node && !kernel.ready) {
    notes.push(`the kernel of ${kernel.host} does not deliver to ${destination.name} yet`);
  }
  return notes;
}
