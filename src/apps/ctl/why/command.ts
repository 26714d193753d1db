/** The work of `margay why`: which rule decides about a packet at both ends, and whether the kernel sees it alike. */
import { CodedError, errorMessage } from '../../../base/error.js';
import { verdictQuery, type VerdictAnswer } from '../../../observe/agent-protocol.js';
import { type FlowPacket, formatEnd, ICMP6, protocolName } from '../../../observe/flow-packet.js';
import { describeHit } from '../../../observe/policy-attribution.js';
import { askAgent, runDirectory } from '../agent-socket.js';
import { Exit, type Session } from '../session.js';
import { answerWhy, type SideAnswer, type WhyAnswer } from './answer.js';
import { calculate, takeSnapshot } from './calculation.js';
import { Directory, type End, parseTarget, type Target } from './ends.js';
import { RuleBook } from './rule-book.js';

export interface WhyFlags {
  readonly output: string;
  readonly sourcePort: string;
  readonly failOn?: string;
}

const EXIT_DENIED = 3;
const EXIT_DIFFERS = 4;

export async function why(
  session: Session,
  sourceText: string,
  targetText: string,
  flags: WhyFlags,
): Promise<void> {
  checkFlags(flags);
  const target = parseTarget(targetText);
  const snapshot = await takeSnapshot(await session.store(), session.signal);
  const directory = new Directory(snapshot.resources);
  const [source, destination] = directory.resolve(sourceText, target.name);
  const packet = packetOf(source, destination, { target, sourcePort: Number(flags.sourcePort) });
  const nodes = new Set([source, destination].flatMap(({ node }) => (node ? [node] : [])));
  const answer = answerWhy({
    ...{ packet, source, destination, revision: snapshot.revision },
    pictures: new Map([...nodes].map((node) => [node, calculate(snapshot, node)])),
    rules: new RuleBook(snapshot.resources),
    kernel: await kernelAnswer(session, packet),
  });
  session.out(flags.output === 'json' ? `${JSON.stringify(answer, null, 2)}\n` : textOf(answer));
  if (answer.kernelAgrees === false) throw new Exit(EXIT_DIFFERS);
  if (flags.failOn === 'deny' && !answer.allow) throw new Exit(EXIT_DENIED);
}

function checkFlags({ output, sourcePort, failOn }: WhyFlags): void {
  if (output !== 'text' && output !== 'json') {
    throw new CodedError(
      'ERR_OUTPUT_FORMAT',
      `unrecognized output format '${output}', expected text or json`,
    );
  }
  if (!/^\d{1,5}$/.test(sourcePort) || Number(sourcePort) > 65_535) {
    throw new CodedError('ERR_USAGE', `why: --source-port: ${sourcePort} is no port`);
  }
  if (failOn !== undefined && failOn !== 'deny') {
    throw new CodedError('ERR_USAGE', `why: --fail-on: ${failOn} is not deny`);
  }
}

function packetOf(
  source: End,
  destination: End,
  { target, sourcePort }: { readonly target: Target; readonly sourcePort: number },
): FlowPacket {
  const isEcho6 = target.icmp !== undefined && destination.address.includes(':');
  const echo6 = isEcho6 && target.protocol === 1;
  const hasPorts = target.port !== 0;
  return {
    source: source.address,
    destination: destination.address,
    protocol: echo6 ? ICMP6 : target.protocol,
    sourcePort: hasPorts ? sourcePort : 0,
    destinationPort: target.port,
    ...(target.icmp === undefined
      ? {}
      : { icmp: echo6 && target.icmp.type === 8 ? { type: 128, code: 0 } : target.icmp }),
  };
}

/** The agent's answer, or in words why there is none. */
async function kernelAnswer(session: Session, packet: FlowPacket): Promise<VerdictAnswer | string> {
  try {
    const runDir = runDirectory(process.env);
    return (await askAgent(runDir, verdictQuery(packet), session)) as VerdictAnswer;
  } catch (error) {
    session.signal.throwIfAborted();
    return errorMessage(error);
  }
}

const verdictWord = (allow: boolean): string => (allow ? 'allowed' : 'denied');

function textOf(answer: WhyAnswer): string {
  const { packet, egress, ingress } = answer;
  const from = endText(egress.end, formatEnd(packet.source, 0, 1));
  const to = endText(
    ingress.end,
    formatEnd(packet.destination, packet.destinationPort, packet.protocol),
  );
  const icmp =
    packet.icmp === undefined ? '' : ` type ${packet.icmp.type} code ${packet.icmp.code}`;
  return [
    `${from} -> ${to}, ${protocolName(packet.protocol)}${icmp}: ${verdictWord(answer.allow)}`,
    ...[egress, ingress].flatMap(sideText),
    ...answer.notes.map((note) => `note: ${note}`),
    ...(answer.kernelAgrees === false
      ? ['THE KERNEL DIFFERS FROM THE CALCULATION: see above']
      : []),
    '',
  ].join('\n');
}

const endText = ({ kind, name }: End, address: string): string =>
  kind === 'external' ? address : `${name} (${address})`;

function sideText(side: SideAnswer): readonly string[] {
  const where = side.end.node ? `, on ${side.end.node}` : '';
  const head = `${side.direction} of ${side.end.name}${where}`;
  if (!side.asked)
    return ['', `${head}: ${side.allow ? 'not asked' : 'denied'}`, `  ${side.reason}`];
  return [
    '',
    `${head}: ${verdictWord(side.allow)}`,
    ...(side.steps.length === 0 ? [`  ${side.reason}`] : side.steps.map((step) => `  ${step}`)),
    ...(side.changes.length === 0 ? [] : ['  what would change it:']),
    ...side.changes.map((line) => `    ${line}`),
    `  kernel: ${kernelText(side)}`,
  ];
}

function kernelText({ kernel }: SideAnswer): string {
  if (!kernel.asked) return `not asked, ${kernel.reason}`;
  const note = kernel.note === '' ? '' : `; ${kernel.note}`;
  if (kernel.agrees) {
    const packets = kernel.count?.packets ?? 0;
    return `${verdictWord(kernel.allow)}, by the same; decided ${packets} packets since the agent started`;
  }
  const by = kernel.policies.map(describeHit).join(', then ') || 'an unknown rule';
  return `DIFFERS: ${verdictWord(kernel.allow)} by ${by}${note}`;
}
