/**
 * The N-API addon's only TypeScript declaration. Loaded by src/kernel/addon.ts and by nothing else.
 *
 * A failed system call throws (or rejects with) a SystemError: `code` ('ENOENT'), `errno` (-2) and
 * `syscall` ('bpf(BPF_OBJ_GET)'), as Node's own errors have. A wrong argument throws a TypeError.
 * All multi-byte integers in buffers are in host byte order unless the BPF ABI says otherwise.
 * Closing twice is allowed; using a closed handle throws ERR_CLOSED.
 */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  /** The verifier's or libbpf's words, when there are any. */
  readonly log?: string;
}

export type TcDirection = 'ingress' | 'egress';

export interface BuildInfo {
  readonly libbpf: string;
  readonly linkage: 'static' | 'dynamic';
  readonly napi: number;
}
export function buildInfo(): BuildInfo;

export interface MapInfo {
  readonly name: string;
  /** BPF_MAP_TYPE_* number. */
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

export interface ProgramInfo {
  readonly name: string;
  readonly id: number;
  /** BPF_PROG_TYPE_* number. */
  readonly type: number;
  /** Size of the JITed code, bytes. */
  readonly jitedBytes: number;
  /** Instructions the verifier walked (bpf_prog_info.verified_insns). */
  readonly verifiedInsns: number;
}

/** An ELF object: open → configure → load → take maps and programs → close. */
export class BpfObject {
  /** Opens from ELF bytes. Blocking but quick (no kernel call that waits). */
  constructor(elf: Uint8Array, name: string);
  readonly mapNames: readonly string[];
  readonly programNames: readonly string[];
  /** Before load(). */
  setMaxEntries(mapName: string, maxEntries: number): void;
  /**
   * Before load(): use this kernel map instead of creating one. Layouts must agree; with `anyValueSize` values may be
   * longer or shorter, and load() refuses programs that read beyond.
   */
  reuseMap(mapName: string, map: BpfMap, anyValueSize?: boolean): void;
  /** Before load(): leave this program out. */
  setAutoload(programName: string, autoload: boolean): void;
  /** Before load(): initial bytes of '.rodata', '.data' or '.bss', at `offset`; frozen by load() if rodata. */
  setGlobals(section: string, bytes: Uint8Array, offset?: number): void;
  /** Off the main thread. Rejects with SystemError whose `log` is the verifier's output. */
  load(): Promise<void>;
  /** After load(). The handle has its own descriptor and outlives the object. */
  map(name: string): BpfMap;
  program(name: string): BpfProgram;
  close(): void;
}

export class BpfMap {
  static openPinned(path: string): BpfMap;
  readonly fd: number;
  info(): MapInfo;
  pin(path: string): void;
  /** The values as shared kernel memory (BPF_F_MMAPABLE arrays only). Value stride is valueSize rounded up to 8. */
  mmap(): ArrayBuffer;
  /** null when absent. Per-CPU maps return all CPUs' values one after the other, each rounded up to 8 bytes. */
  lookup(key: Uint8Array): Uint8Array | null;
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** false when absent. */
  delete(key: Uint8Array): boolean;
  nextKey(key: Uint8Array | null): Uint8Array | null;
  /** Packed keys and values, `count` of each. Off the main thread. Resolves to the number done. */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): Promise<number>;
  deleteBatch(keys: Uint8Array, count: number): Promise<number>;
  /** Every entry, packed; reads in batches of `chunk`. Off the main thread. */
  readAll(chunk?: number): Promise<{ keys: Uint8Array; values: Uint8Array; count: number }>;
  close(): void;
}

export interface TestRunOptions {
  /** Packet, from the Ethernet header on. Omit for SEC("syscall") programs. */
  readonly data?: Uint8Array;
  /** struct __sk_buff, struct xdp_md or the syscall program's context. Written back in the result. */
  readonly context?: Uint8Array;
  readonly repeat?: number;
  /** Room for the packet after the run; default data length + 256. */
  readonly outputBytes?: number;
}
export interface TestRunResult {
  readonly retval: number;
  /** Average of one run, ns. */
  readonly durationNs: number;
  readonly data: Uint8Array;
  readonly context: Uint8Array;
}

export interface NetfilterPlace {
  readonly family: number;
  readonly hook: number;
  readonly priority: number;
  readonly reassemble: boolean;
}

export class BpfProgram {
  static openPinned(path: string): BpfProgram;
  readonly fd: number;
  info(): ProgramInfo;
  pin(path: string): void;
  /** Off the main thread. */
  testRun(options: TestRunOptions): Promise<TestRunResult>;
  /** Same, on the calling thread: for measurements and tests that must not be reordered. */
  testRunSync(options: TestRunOptions): TestRunResult;
  /** tcx link (Linux 6.6). Off the main thread: it waits for an RCU grace period. */
  attachTcx(ifindex: number, direction: TcDirection): Promise<BpfLink>;
  /** clsact filter at (handle 1, given priority), replacing what is there. Creates the qdisc if missing. */
  attachClsact(ifindex: number, direction: TcDirection, priority: number): Promise<void>;
  attachXdp(ifindex: number): Promise<BpfLink>;
  /**
   * SEC("netfilter") program, Linux 6.4: family NFPROTO_* (IPv4 2, IPv6 10), hook NF_INET_* (0 to 4). EBUSY if another
   * program has this priority there. Such a link cannot be updated: attach the next beside it, then detach this one.
   * `reassemble`: the hook sees whole datagrams (Linux 6.6; before EINVAL or EOPNOTSUPP).
   */
  attachNetfilter(place: NetfilterPlace): Promise<BpfLink>;
  close(): void;
}
export function detachClsact(
  ifindex: number,
  direction: TcDirection,
  priority: number,
): Promise<void>;

export interface LinkInfo {
  readonly id: number;
  readonly programId: number;
  /** 0 when the device is gone. */
  readonly ifindex: number;
  readonly attachType: number;
}
export class BpfLink {
  static openPinned(path: string): BpfLink;
  info(): LinkInfo;
  pin(path: string): void;
  /** Replaces the program atomically (about 1 µs). */
  update(program: BpfProgram): void;
  /** Off the main thread. */
  detach(): Promise<void>;
  close(): void;
}

/** Reads a BPF_MAP_TYPE_RINGBUF; the callback runs on the main thread, with a copy of each record. */
export class RingBuffer {
  constructor(map: BpfMap, onRecord: (record: Uint8Array) => void);
  close(): void;
}

/**
 * One AF_NETLINK datagram socket. Codecs live in src/kernel/netlink. NETLINK_EXT_ACK and
 * NETLINK_CAP_ACK are on. Receives on the main thread as data arrives; ENOBUFS calls onOverrun.
 */
export class NetlinkSocket {
  constructor(options: {
    /** NETLINK_ROUTE = 0, NETLINK_NETFILTER = 12. */
    readonly protocol: number;
    /** RTNLGRP_* numbers to join. */
    readonly groups?: readonly number[];
    /** Opened in this network namespace (path, as /run/netns/x or /proc/N/ns/net) instead of the current. */
    readonly netns?: string;
    readonly receiveBufferBytes?: number;
    /** Classic BPF, `struct sock_filter` after another, that sees each datagram from its header on: 0 drops it. */
    readonly filter?: Uint8Array;
    /** The kernel heeds what requests for lists say besides the family (Linux 4.20). */
    readonly strictDumps?: boolean;
    readonly onMessages: (datagram: Uint8Array) => void;
    readonly onOverrun: () => void;
  });
  readonly portId: number;
  /** Whole netlink messages, nlmsg_len already set. */
  send(messages: Uint8Array): void;
  close(): void;
}

export interface IpsetHeader {
  readonly name: string;
  /** 'hash:net'. */
  readonly type: string;
  /** 0: the type has none. */
  readonly family: 0 | 4 | 6;
}

/**
 * The kernel's IP sets over NETLINK_NETFILTER, protocol 7. Every call runs off the main thread; calls take turns.
 * Rejects with ENOENT (no such set), EEXIST, EBUSY (a rule uses it), ENOSPC (full), EOPNOTSUPP (the kernel has no such
 * type), EINVAL with ipset's own number in `log`.
 */
export class IpsetSocket {
  /** In the network namespace at this path, or in the current one. */
  constructor(netns?: string);
  /** `family` 0 where the type has none; `maxElements` is not looked at then. */
  create(name: string, type: string, family: 0 | 4 | 6, maxElements: number): Promise<void>;
  /** What does not exist is passed over. */
  destroy(name: string): Promise<void>;
  /** Exchanges the contents of two sets of one type; rules that use either see the other's from then on. */
  swap(first: string, second: string): Promise<void>;
  /** Members packed as native/netfilter/ipset_client.h says, 40 bytes each. What is there already stays. */
  add(name: string, members: Uint8Array): Promise<void>;
  /** What is not there is passed over. */
  remove(name: string, members: Uint8Array): Promise<void>;
  headers(): Promise<readonly IpsetHeader[]>;
  members(name: string): Promise<Uint8Array>;
  close(): void;
}

/** Runs `body` with the calling thread inside the network namespace at `path`; always comes back. */
export function inNetns<T>(path: string, body: () => T): T;

/** Mounts bpffs at `path` unless it is one already. Returns true if it mounted. */
export function mountBpffs(path: string): boolean;
export function isBpffs(path: string): boolean;

/** Waits for an RCU grace period: membarrier(MEMBARRIER_CMD_GLOBAL). Off the main thread. */
export function gracePeriod(): Promise<void>;

/** Number of possible CPUs: the multiplicity of values in per-CPU maps. */
export function possibleCpus(): number;
