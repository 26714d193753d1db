/** A dataplane of any driver in a process of its own, in a network namespace, behind one protocol of lines of JSON. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { REPOSITORY } from './repository.js';

export const DRIVERS = ['ebpf', 'iptables-legacy', 'iptables-nft'] as const;
export type DriverName = (typeof DRIVERS)[number];

const bpfDirOf = (id: string): string => `/sys/fs/bpf/${id}`;

/** Program and arguments; failsafe ports are those of Calico v3.2, which the truth cases are written for. */
function commandOf(driver: DriverName, id: string): readonly string[] {
  const script = (name: string): string => join(REPOSITORY, 'dist', 'test', 'kernel', name);
  switch (driver) {
    case 'ebpf':
      return [script('driver-process.js'), bpfDirOf(id), '', '', '', 'calico-3.2'];
    case 'iptables-legacy':
      return [script('iptables-process.js'), 'legacy'];
    case 'iptables-nft':
      return [script('iptables-process.js'), 'nft'];
    default:
      return driver satisfies never;
  }
}

export class DataplaneProcess implements AsyncDisposable {
  readonly #driver: DriverName;
  readonly #id: string;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #exited: Promise<void>;

  /** In the namespace at `path`; `id` names its pins. */
  constructor(path: string, { driver, id }: { readonly driver: DriverName; readonly id: string }) {
    this.#driver = driver;
    this.#id = id;
    const argv = [`--net=${path}`, process.execPath, ...commandOf(driver, id)];
    const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  /** Another action than before opens the dataplane anew; `updates` must then be everything. */
  async apply(updates: readonly DesiredUpdate[], endpointToHostAction?: string): Promise<void> {
    const action = endpointToHostAction === undefined ? {} : { endpointToHostAction };
    await this.#ask({ do: 'apply', updates, ...action }, 'applied');
  }

  /** What the dataplane itself remembers of connections; the kernel's tracking is not its own. */
  async forget(): Promise<void> {
    if (this.#driver === 'ebpf') await this.#ask({ do: 'forget' }, 'forgotten');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
    if (this.#driver === 'ebpf') rmSync(bpfDirOf(this.#id), { recursive: true, force: true });
  }

  async #ask(request: object, wanted: string): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#answers.next();
    const answer: unknown = value === undefined ? 'no answer' : JSON.parse(value as string);
    if (answer === wanted || isHarmless(answer)) return;
    throw new Error(`${this.#driver}: ${JSON.stringify(answer)}`);
  }
}

/**
 * Reported, while all else is applied: two endpoints with one address (whose it is is not asked here), and tunnels on
 * a kernel without their device.
 */
const HARMLESS = [/ is not served: /, /IP-in-IP device tunl0: .*ENOTSUP/];

function isHarmless(answer: unknown): boolean {
  const { error = '' } = answer as { readonly error?: string };
  const [message = ''] = error.split('\n    at ');
  const lines = message.split('\n');
  return message !== '' && lines.every((line) => HARMLESS.some((known) => known.test(line)));
}
