import {
  MGY_BLK_CELLS,
  MGY_BLK_CLASSES,
  MGY_BLK_CMAP,
  MGY_BLK_COLS,
  MGY_BLK_FARS,
  MGY_BLK_L4S,
  MGY_BLK_LMAP,
  MGY_BLK_NEAR,
  MGY_BLK_PAIRS,
  MGY_BLK_SCOLS,
  MGY_BLK_SMAP,
  MGY_CELL_ALLOW,
  MGY_CELL_CONTINUE,
  MGY_CELL_LOG,
  MGY_CELL_TRACE_SHIFT,
  MGY_CHILD,
  MGY_INFO_LOCAL_WL,
  MGY_INFO_READY,
  MGY_PS_ALLOW,
  MGY_PS_DENSE,
  MGY_PS_TWO_SIDED,
  MGY_STAGE_FORWARD_OUT,
  MGY_STAGE_NORMAL_OUT,
  MGY_STAGE_UNTRACKED_OUT,
  MGY_STAGES_IP6,
  mgyEp,
} from '../abi.gen.js';
import { type Address, familyOf, parseAddress } from './address.js';
import { lookupNode6 } from './address-trie6.js';
import { hasPorts, l4Position } from './l4-space.js';
import {
  EP_WORDS,
  HEP_WORDS,
  INFO_WORDS,
  LINE_WORDS,
  NODE_ENTRIES,
  type PolicyMaps,
} from './policy-maps.js';

export interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** Host order; ICMP and protocols without ports: 0. */
  readonly sourcePort: number;
  /** Host order; ICMP: type << 8 | code; protocols without ports: 0. */
  readonly destinationPort: number;
}

export interface Verdict {
  readonly allow: boolean;
  readonly log: boolean;
  /** 0: the policy set is closed for an error. */
  readonly trace: number;
}

/** What the BPF program finds for the first packet of a connection. */
export interface Lookup {
  /** Policy of the source; null: it is no workload of this host. */
  readonly egress: Verdict | null;
  /** Policy of the destination; null: it is no workload of this host. */
  readonly ingress: Verdict | null;
  /** false: the destination is a workload of this host that may not be delivered to yet. */
  readonly ready: boolean;
  /** Every policy asked allows, and the destination is ready. */
  readonly allow: boolean;
}

/** Of a host endpoint's stage. */
export interface StageVerdict extends Verdict {
  /** Nothing decided: the packet goes on. */
  readonly goesOn: boolean;
}

const CLOSED: Verdict = { allow: false, log: false, trace: 0 };

interface Info {
  readonly classId: number;
  readonly flags: number;
  readonly endpoint: number;
}

/** Where a packet is in the tables, all sides alike. */
function placeOf(maps: PolicyMaps, packet: Packet) {
  const addresses = [addressOf(packet.source), addressOf(packet.destination)] as const;
  const family = familyOf(addresses[0]);
  if (familyOf(addresses[1]) !== family)
    throw new RangeError(`${packet.source} and ${packet.destination} are of different families`);
  const l4Of = (port: number): number => maps.l4[l4Position(packet.protocol, port, family)] ?? 0;
  const l4 = l4Of(packet.destinationPort);
  return {
    ...{ family, l4, source: infoOf(maps, addresses[0]), destination: infoOf(maps, addresses[1]) },
    // As the program does: without ports, both are the class of the packet.
    sourceL4: hasPorts(packet.protocol) ? l4Of(packet.sourcePort) : l4,
  };
}

/** The walk of the BPF program, over the same bytes and nothing else. */
export function lookupPacket(maps: PolicyMaps, packet: Packet): Lookup {
  const { source, destination, l4, sourceL4 } = placeOf(maps, packet);
  const judge = (own: Info, peer: Info, offset: number): Verdict | null => {
    if ((own.flags & MGY_INFO_LOCAL_WL) === 0) return null;
    const set = maps.eps[own.endpoint * EP_WORDS + offset / 4] ?? 0;
    const { allow, log, trace } = evaluate(maps, set, { classId: peer.classId, l4, sourceL4 });
    return { allow, log, trace };
  };
  const egress = judge(source, destination, mgyEp.offset.ps_out);
  const ingress = judge(destination, source, mgyEp.offset.ps_in);
  const ready = ingress === null || (destination.flags & MGY_INFO_READY) !== 0;
  const allow = egress?.allow !== false && ingress?.allow !== false && ready;
  return { egress, ingress, ready, allow };
}

/** As the programs ask one stage of a host endpoint; null: it has no say. */
export function lookupStage(
  maps: PolicyMaps,
  { record, stage }: { readonly record: number; readonly stage: number },
  packet: Packet,
): StageVerdict | null {
  const { l4, sourceL4, family, ...place } = placeOf(maps, packet);
  const word = stage + (family === 4 ? 0 : MGY_STAGES_IP6);
  const set = maps.heps[record * HEP_WORDS + word] ?? 0;
  if (set === 0) return null;
  const [source, destination] = [place.source.classId, place.destination.classId];
  const out = stage === MGY_STAGE_UNTRACKED_OUT || stage === MGY_STAGE_NORMAL_OUT;
  const isEgress = out || stage === MGY_STAGE_FORWARD_OUT;
  const sides = isEgress
    ? { near: source, classId: destination }
    : { near: destination, classId: source };
  return evaluate(maps, set, { ...sides, l4, sourceL4 });
}

function entry4Of(maps: PolicyMaps, address: number): number {
  let entry = maps.root4[address >>> 16] ?? 0;
  for (const shift of [8, 0]) {
    if ((entry & MGY_CHILD) === 0) break;
    entry = maps.nodes4[(entry & ~MGY_CHILD) * NODE_ENTRIES + ((address >>> shift) & 255)] ?? 0;
  }
  return entry;
}

function infoOf(maps: PolicyMaps, address: Address): Info {
  const entry =
    typeof address === 'number' ? entry4Of(maps, address) : lookupNode6(maps.nodes6, address);
  const at = entry * INFO_WORDS;
  const [classId = 0, flags = 0, , endpoint = 0] = maps.info.subarray(at, at + INFO_WORDS);
  return { classId, flags, endpoint };
}

function evaluate(
  maps: PolicyMaps,
  set: number,
  packet: {
    readonly classId: number;
    /** Class of the other address, for two-sided blocks. */
    readonly near?: number;
    readonly l4: number;
    readonly sourceL4: number;
  },
): StageVerdict {
  const descriptor = maps.policySets[set] ?? 0n;
  const mode = Number(descriptor & 0xffn);
  const closed = { ...CLOSED, goesOn: false };
  if (mode === MGY_PS_ALLOW) return { ...closed, allow: true };
  const twoSided = mode === MGY_PS_TWO_SIDED && packet.near !== undefined;
  if (mode !== MGY_PS_DENSE && !twoSided) return closed;
  const { arena } = maps;
  const line = Number(descriptor >> 24n);
  const head = (word: number): number => arena[line * LINE_WORDS + word] ?? 0;
  const half = (offset: number, index: number): number => {
    const word = arena[(line + offset) * LINE_WORDS + (index >>> 1)] ?? 0;
    return LITTLE_ENDIAN === ((index & 1) === 1) ? word >>> 16 : word & 0xffff;
  };
  const l4s = head(MGY_BLK_L4S);
  if (packet.classId >= head(MGY_BLK_CLASSES) || packet.l4 >= l4s || packet.sourceL4 >= l4s) {
    return closed;
  }
  const near = packet.near ?? 0;
  if (twoSided && near >= head(MGY_BLK_CLASSES)) return closed;
  const far = half(head(MGY_BLK_CMAP), packet.classId);
  const pair = half(head(MGY_BLK_NEAR), near) * head(MGY_BLK_FARS) + far;
  const row = twoSided ? half(head(MGY_BLK_PAIRS), pair) : far;
  const column = half(head(MGY_BLK_LMAP), packet.l4);
  const smap = head(MGY_BLK_SMAP);
  const sourceColumn = smap === 0 ? 0 : half(smap, packet.sourceL4);
  const columns = head(MGY_BLK_COLS);
  const cell = (row * columns + column) * head(MGY_BLK_SCOLS) + sourceColumn;
  const value = arena[(line + head(MGY_BLK_CELLS)) * LINE_WORDS + cell] ?? 0;
  return {
    allow: (value & MGY_CELL_ALLOW) !== 0,
    goesOn: (value & MGY_CELL_CONTINUE) !== 0,
    log: (value & MGY_CELL_LOG) !== 0,
    trace: value >>> MGY_CELL_TRACE_SHIFT,
  };
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new RangeError(`${text} is not an address`);
  return address;
}
