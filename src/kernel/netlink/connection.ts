/**
 * Requests to the kernel over one netlink socket, and their answers. Requests are answered in parallel;
 * dumps go one after another, since a socket can have one at a time.
 */
import { getSystemErrorName } from 'node:util';
import { native } from '../addon.js';
import { KernelError, NetlinkError } from '../kernel-error.js';
import {
  Attributes,
  decodeMessages,
  encodeMessage,
  fixedPart,
  HEADER_BYTES,
  LITTLE_ENDIAN,
  type NetlinkMessage,
  NLM_F,
  NLMSG,
} from './message.js';

const NETLINK_ROUTE = 0;
const TIMEOUT_MS = 10_000;
/** A dump that changed under the kernel's hands is read again this often, then taken as it is. */
const DUMP_ATTEMPTS_MAX = 5;
const RECEIVE_BUFFER_BYTES = 4 << 20;
const NLMSGERR_ATTR_MSG = 1;

export interface Request {
  readonly type: number;
  /** Besides NLM_F_REQUEST and what the kind of request needs. */
  readonly flags?: number;
  readonly body: Uint8Array;
  /** What is asked for, in words: the start of the error message. */
  readonly what: string;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

interface Pending {
  readonly request: Request;
  readonly replies: NetlinkMessage[];
  interrupted: boolean;
  readonly resolve: (replies: readonly NetlinkMessage[]) => void;
  readonly reject: (error: unknown) => void;
}

/** What NetlinkConnection needs of a socket; the addon's has more. */
export interface DatagramSocket {
  send(messages: Uint8Array): void;
  close(): void;
}

export interface SocketCallbacks {
  readonly onMessages: (datagram: Uint8Array) => void;
  readonly onOverrun: () => void;
}

export class NetlinkConnection implements Disposable {
  readonly #socket: DatagramSocket;
  readonly #pending = new Map<number, Pending>();
  #sequence = 0;
  #closed = false;
  #dumps: Promise<unknown> = Promise.resolve();

  constructor(open: (callbacks: SocketCallbacks) => DatagramSocket) {
    this.#socket = open({
      onMessages: (datagram) => this.#onDatagram(datagram),
      onOverrun: () => this.#failAll('the socket overran'),
    });
  }

  /** A socket of NETLINK_ROUTE in this network namespace, or in the one at `netns`. */
  static open(options: { readonly netns?: string } = {}): NetlinkConnection {
    return new NetlinkConnection(
      (callbacks) =>
        new (native().NetlinkSocket)({
          protocol: NETLINK_ROUTE,
          receiveBufferBytes: RECEIVE_BUFFER_BYTES,
          strictDumps: true,
          ...options,
          ...callbacks,
        }),
    );
  }

  /**
   * Asks for a change, or for one object. Resolves when the kernel has acknowledged, to what it said first.
   *
   * @throws NetlinkError with the kernel's error number and words.
   * @throws KernelError ERR_KERNEL_NETLINK_LOST: unknown whether it was done.
   */
  async request(request: Request, options: WaitOptions = {}): Promise<readonly NetlinkMessage[]> {
    const flags = NLM_F.request | NLM_F.ack | (request.flags ?? 0);
    const { replies } = await this.#send(request, flags, options);
    return replies;
  }

  /** Every object of a kind: consistent, unless it changes faster than it can be read. */
  async dump(request: Request, options: WaitOptions = {}): Promise<readonly NetlinkMessage[]> {
    const turn = this.#dumps.then(() => this.#dump(request, options));
    this.#dumps = turn.catch(() => undefined);
    return turn;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#failAll('the connection was closed');
  }

  async #dump(request: Request, options: WaitOptions): Promise<readonly NetlinkMessage[]> {
    const flags = NLM_F.request | NLM_F.dump | (request.flags ?? 0);
    for (let attempt = 1; ; attempt++) {
      const { replies, interrupted } = await this.#send(request, flags, options);
      if (!interrupted || attempt === DUMP_ATTEMPTS_MAX) return replies;
    }
  }

  async #send(
    request: Request,
    flags: number,
    { signal, timeoutMs = TIMEOUT_MS }: WaitOptions,
  ): Promise<{ readonly replies: readonly NetlinkMessage[]; readonly interrupted: boolean }> {
    signal?.throwIfAborted();
    if (this.#closed) throw lost(request, 'the connection is closed');
    this.#sequence = (this.#sequence + 1) >>> 0 || 1;
    const sequence = this.#sequence;
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    let pending: Pending | undefined;
    try {
      const replies = await new Promise<readonly NetlinkMessage[]>((resolve, reject) => {
        pending = { request, replies: [], interrupted: false, resolve, reject };
        this.#pending.set(sequence, pending);
        onAbort = () => reject(signal?.reason);
        signal?.addEventListener('abort', onAbort);
        timer = setTimeout(() => reject(lost(request, `no answer in ${timeoutMs} ms`)), timeoutMs);
        const { type, body } = request;
        this.#socket.send(encodeMessage({ type, flags, sequence, body }));
      });
      return { replies, interrupted: pending?.interrupted === true };
    } finally {
      clearTimeout(timer);
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
      this.#pending.delete(sequence);
    }
  }

  #onDatagram(datagram: Uint8Array): void {
    let messages: readonly NetlinkMessage[];
    try {
      messages = decodeMessages(datagram);
    } catch (error) {
      for (const { reject } of this.#pending.values()) reject(error);
      return;
    }
    for (const message of messages) this.#onMessage(message);
  }

  #onMessage(message: NetlinkMessage): void {
    const pending = this.#pending.get(message.sequence);
    if (pending === undefined || message.type === NLMSG.noop) return;
    if ((message.flags & NLM_F.dumpInterrupted) !== 0) pending.interrupted = true;
    try {
      if (message.type === NLMSG.error || message.type === NLMSG.done) {
        const error = errorOf(message, pending.request);
        if (error === null) pending.resolve(pending.replies);
        else pending.reject(error);
      } else {
        pending.replies.push(message);
      }
    } catch (error) {
      pending.reject(error);
    }
  }

  #failAll(why: string): void {
    for (const { request, reject } of this.#pending.values()) reject(lost(request, why));
  }
}

function lost(request: Request, why: string): KernelError {
  return new KernelError('ERR_KERNEL_NETLINK_LOST', `${request.what}: ${why}`, { retryable: true });
}

/**
 * The error that NLMSG_ERROR or NLMSG_DONE carries; null for an acknowledgement. The error number is
 * followed by the request's header (the whole request if not capped), then by the kernel's words.
 */
function errorOf(message: NetlinkMessage, request: Request): NetlinkError | null {
  const { payload, flags, type } = message;
  // Old kernels end a dump with an empty DONE.
  if (type === NLMSG.done && payload.length < 4) return null;
  const number = -fixedPart(payload, 4, 'error').getInt32(0, LITTLE_ENDIAN);
  if (number <= 0) return null;
  const words = (flags & NLM_F.ackAttributes) === 0 ? undefined : wordsOf(message);
  const name = getSystemErrorName(-number);
  const said = words === undefined ? '' : ` (${words})`;
  return new NetlinkError(`${request.what}: ${name}${said}`, { errno: number, retryable: true });
}

function wordsOf({ payload, flags, type }: NetlinkMessage): string | undefined {
  let start = 4;
  if (type === NLMSG.error) {
    const header = fixedPart(payload, 4 + HEADER_BYTES, 'error');
    const capped = (flags & NLM_F.capped) !== 0;
    start += capped ? HEADER_BYTES : header.getUint32(4, LITTLE_ENDIAN);
  }
  return Attributes.decode(payload, start).text(NLMSGERR_ATTR_MSG);
}
