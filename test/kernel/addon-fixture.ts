/** The addon's own BPF object, and a network namespace with one veth pair, for the addon's tests. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BpfMap, BpfObject } from '../../native/index.js';
import { native } from '../support/native.js';
import { REPOSITORY } from '../support/repository.js';

export const ELF = readFileSync(join(REPOSITORY, 'build', 'Release', 'tests', 'addon.bpf.o'));

/** Numbers as bytes in host order. */
export const u32 = (...numbers: readonly number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(numbers).buffer);
export const u64 = (...numbers: readonly number[]): Uint8Array =>
  new Uint8Array(BigUint64Array.from(numbers, BigInt).buffer);
/** Bytes as numbers in host order, whatever their alignment. */
export const numbers = (bytes: Uint8Array | null): number[] => [
  ...new Uint32Array(Uint8Array.from(bytes ?? []).buffer),
];

export async function loadObject(configure?: (object: BpfObject) => void): Promise<BpfObject> {
  const object = new (native().BpfObject)(ELF, 'addon');
  configure?.(object);
  await object.load();
  return object;
}

/** What a failed call threw or rejected with, as far as callers may rely on it. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly errno?: number;
  readonly syscall?: string;
  readonly log?: string;
}
export async function failureOf(body: () => unknown): Promise<Failure> {
  try {
    await body();
  } catch (error) {
    return error as Failure;
  }
  throw new Error('it did not fail');
}

/** Waits for a condition that events of the loop bring about; fails after two seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 2000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition did not come about');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const ip = (...args: readonly string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** A namespace of its own with the pair near, far; what is sent to 10.77.0.2 leaves near and enters far. */
export class TestNetns implements Disposable {
  readonly name: string;
  readonly path: string;
  readonly ifindex: number;

  constructor(suffix: string) {
    this.name = `mgyaddon-${process.pid}-${suffix}`;
    this.path = `/run/netns/${this.name}`;
    ip('netns', 'add', this.name);
    this.ip('link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far');
    // Without IPv6 addresses nobody speaks unasked: packets can be counted.
    for (const side of ['near', 'far']) this.ip('link', 'set', side, 'addrgenmode', 'none');
    this.ip('address', 'add', '10.77.0.1/24', 'dev', 'near');
    this.ip('link', 'set', 'near', 'up');
    this.ip('link', 'set', 'far', 'up');
    this.ip('neighbour', 'add', '10.77.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'near');
    const [far] = JSON.parse(this.ip('-json', 'link', 'show', 'far')) as [{ ifindex: number }];
    this.ifindex = far.ifindex;
  }

  ip(...args: readonly string[]): string {
    return ip('-netns', this.name, ...args);
  }

  /** Number of tc filters at one side of `far`. */
  filters(direction: 'ingress' | 'egress'): number {
    const args = ['-netns', this.name, '-json', 'filter', 'show', 'dev', 'far', direction];
    const listed = JSON.parse(execFileSync('tc', args, { encoding: 'utf8' }) || '[]') as {
      options?: { handle?: string };
    }[];
    return listed.filter(({ options }) => options?.handle !== undefined).length;
  }

  /** Sends one datagram of `payload` bytes in through `far`. */
  sendDatagram(payload: number): void {
    const script = 'head -c "$1" /dev/zero > /dev/udp/10.77.0.2/9';
    execFileSync('nsenter', [`--net=${this.path}`, 'bash', '-c', script, 'send', `${payload}`]);
  }

  [Symbol.dispose](): void {
    ip('netns', 'delete', this.name);
  }
}

/** A folder of its own on bpffs. */
export class TestBpffs implements Disposable {
  readonly path: string;

  constructor() {
    // A mount that is new stays: others may have begun to use it, and the agent would make the same.
    native().mountBpffs('/sys/fs/bpf');
    this.path = mkdtempSync('/sys/fs/bpf/mgyaddon-');
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Element `index` of addon_array, through the mapping: [runs, length, mark]. */
export function arrayElement(map: BpfMap, index: number): number[] {
  const STRIDE = 16;
  return [...new Uint32Array(map.mmap(), index * STRIDE, 3)];
}
