/** Requests, acknowledgements and dumps over one netlink socket, plus the multicast groups it has joined. */
import { constants } from 'node:os';
import { CodedError } from '../../base/error.js';
import { addon, type NetlinkSocket } from '../addon.js';
import {
  decodeAttributes,
  decodeMessages,
  encodeRequest,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
  type RequestInput,
  readI32,
  readString,
  readU32,
} from './message.js';

export type RequestBody = Omit<RequestInput, 'sequence' | 'flags'> & { readonly flags?: number };

/** The kernel's answer to a request: `errno` as text ('EEXIST') and its own words, if it gave any. */
export class NetlinkError extends CodedError {
  readonly errno: number;

  constructor(what: string, errno: number, words: string) {
    const code = NAMES.get(errno) ?? `errno ${errno}`;
    super(code, `${what}: ${code}${words === '' ? '' : `: ${words}`}`);
    this.errno = errno;
  }
}

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
const NLMSGERR_ATTR_MSG = 1;
const TIMEOUT_MS = 10_000;
const DUMP_ATTEMPTS = 5;

interface Pending {
  readonly what: string;
  readonly parts: NetlinkMessage[];
  interrupted: boolean;
  readonly resolve: (parts: readonly NetlinkMessage[] | 'interrupted') => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface ConnectionOptions {
  readonly protocol?: number;
  /** RTNLGRP_* numbers. */
  readonly groups?: readonly number[];
  readonly netns?: string;
  /** Messages that answer no request. */
  readonly onEvent?: (message: NetlinkMessage) => void;
  /** Events were lost: state has to be read again. */
  readonly onOverrun?: () => void;
}

export class NetlinkConnection implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (message: NetlinkMessage) => void;
  #sequence = 0;
  #closed = false;

  constructor(options: ConnectionOptions = {}) {
    this.#onEvent = options.onEvent ?? (() => undefined);
    const { NetlinkSocket: Socket } = addon();
    this.#socket = new Socket({
      protocol: options.protocol ?? 0,
      groups: options.groups ?? [],
      ...(options.netns === undefined ? {} : { netns: options.netns }),
      receiveBufferBytes: 4 << 20,
      onMessages: (datagram) => {
        for (const message of decodeMessages(datagram)) this.#onMessage(message);
      },
      onOverrun: () => options.onOverrun?.(),
    });
  }

  /** A change: resolves when the kernel has done it. @throws NetlinkError */
  async change(what: string, body: RequestBody): Promise<void> {
    await this.#send(what, body, (body.flags ?? 0) | NLM_F_ACK);
  }

  /** Everything of a type. A dump that the kernel calls inconsistent is repeated. @throws NetlinkError */
  async dump(what: string, body: RequestBody): Promise<readonly NetlinkMessage[]> {
    for (let attempt = 1; ; attempt++) {
      const parts = await this.#send(what, body, (body.flags ?? 0) | NLM_F_DUMP);
      if (parts !== 'interrupted') return parts;
      if (attempt === DUMP_ATTEMPTS) {
        throw new CodedError(
          'ERR_NETLINK_DUMP',
          `${what}: changed ${attempt} times while it was read`,
        );
      }
    }
  }

  #send(
    what: string,
    body: RequestBody,
    flags: number,
  ): Promise<readonly NetlinkMessage[] | 'interrupted'> {
    this.#sequence = (this.#sequence % 0x7fffffff) + 1;
    const sequence = this.#sequence;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(sequence);
        reject(new CodedError('ERR_NETLINK_TIMEOUT', `${what}: no answer in ${TIMEOUT_MS} ms`));
      }, TIMEOUT_MS);
      this.#pending.set(sequence, { what, parts: [], interrupted: false, resolve, reject, timer });
      try {
        this.#socket.send(encodeRequest({ ...body, flags, sequence }));
      } catch (error) {
        clearTimeout(timer);
        this.#pending.delete(sequence);
        reject(error);
      }
    });
  }

  #onMessage(message: NetlinkMessage): void {
    const pending =
      message.portId === this.#socket.portId ? this.#pending.get(message.sequence) : undefined;
    if (!pending) {
      if (message.type > NLMSG_DONE) this.#onEvent(message);
      return;
    }
    if ((message.flags & NLM_F_DUMP_INTR) !== 0) pending.interrupted = true;
    if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
      pending.parts.push(message);
      return;
    }
    clearTimeout(pending.timer);
    this.#pending.delete(message.sequence);
    const errno = message.payload.byteLength >= 4 ? -readI32(message.payload) : 0;
    if (errno !== 0) pending.reject(new NetlinkError(pending.what, errno, kernelWords(message)));
    else pending.resolve(pending.interrupted ? 'interrupted' : pending.parts);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(
        new CodedError('ERR_NETLINK_CLOSED', `${pending.what}: the socket was closed`),
      );
    }
    this.#pending.clear();
  }
}

/** NETLINK_EXT_ACK's message; its attributes follow the echoed request, which may have been cut to its header. */
function kernelWords(message: NetlinkMessage): string {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return '';
  const echoed = (message.flags & NLM_F_CAPPED) !== 0 ? 16 : readU32(message.payload, 4);
  const words = decodeAttributes(message.payload, 4 + echoed).get(NLMSGERR_ATTR_MSG);
  return words === undefined ? '' : readString(words);
}
