/** A host namespace with workloads of its own, for tests that drive a dataplane by hand. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';

const run = (file: string, ...args: readonly string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

export interface Workload {
  readonly name: string;
  readonly netns: string;
  readonly interfaceName: string;
  readonly address: string;
  readonly address6?: string;
}

/** What the host side has with the MAC of every workload's gateway. */
export const GATEWAY6 = 'fe80::ecee:eeff:feee:eeee';

/** A connection that stays open: each line sent is to come back. */
export class Conversation implements Disposable {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    if (!child.stdout) throw new Error('the process has no output');
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** 'open', an echo, or 'error ...'; undefined when the process has ended. */
  async next(): Promise<string | undefined> {
    const { value } = await this.#answers.next();
    return value as string | undefined;
  }

  async say(text: string): Promise<string | undefined> {
    this.#child.stdin?.write(`${text}\n`);
    return this.next();
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
    this.#lines.close();
  }
}

const SERVER = `
const net = require('net');
const server = net.createServer((socket) => { socket.on('error', () => {}); socket.pipe(socket); });
server.listen(Number(process.argv[1]), '::', () => console.log('listening'));
`;
const CLIENT = `
const socket = require('net').connect(Number(process.argv[2]), process.argv[1]);
const lines = require('readline').createInterface({ input: process.stdin });
socket.setTimeout(Number(process.argv[3]), () => { console.log('error timeout'); process.exit(1); });
socket.once('connect', () => { socket.setTimeout(0); console.log('open'); });
socket.on('error', (error) => { console.log('error ' + error.code); process.exit(1); });
lines.on('line', (line) => {
  const late = setTimeout(() => console.log('error silence'), Number(process.argv[3]));
  socket.once('data', (data) => { clearTimeout(late); console.log(String(data).trim()); });
  socket.write(line + '\\n');
});
`;

export class WorkloadWorld implements Disposable {
  readonly id: string;
  readonly host: string;
  readonly path: string;
  readonly bpfDir: string;
  readonly #namespaces: string[] = [];
  readonly #children: ChildProcess[] = [];

  constructor(suffix: string) {
    this.id = `mgydp${process.pid % 100_000}${suffix}`;
    this.host = this.addNetns('h');
    this.path = `/run/netns/${this.host}`;
    this.bpfDir = `/sys/fs/bpf/${this.id}`;
    run('ip', '-n', this.host, 'link', 'set', 'lo', 'up');
  }

  addNetns(name: string): string {
    const netns = `${this.id}-${name}`;
    run('ip', 'netns', 'add', netns);
    this.#namespaces.push(netns);
    return netns;
  }

  /** `ip` in the host's namespace. */
  ip(...args: readonly string[]): string {
    return run('ip', '-n', this.host, ...args);
  }

  ipJson<T>(...args: readonly string[]): T[] {
    return JSON.parse(run('ip', '-n', this.host, '-j', ...args) || '[]') as T[];
  }

  /** A veth, cali<name>, with its far end in a namespace that has the address and the usual routes. */
  addWorkload(name: string, address: string, address6?: string): Workload {
    const netns = this.addNetns(name);
    const workload = {
      name,
      netns,
      interfaceName: `cali${name}`,
      address,
      ...(address6 ? { address6 } : {}),
    };
    this.addVeth(workload);
    run('ip', '-n', netns, 'link', 'set', 'lo', 'up');
    return workload;
  }

  addVeth({ netns, interfaceName, address, address6 }: Workload): void {
    const mac = ['address', 'ee:ee:ee:ee:ee:ee'];
    this.ip(
      'link',
      'add',
      interfaceName,
      ...(address6 ? mac : []),
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      netns,
    );
    this.ip('link', 'set', interfaceName, 'up');
    const inside = (...args: readonly string[]): unknown => run('ip', '-n', netns, ...args);
    inside('link', 'set', 'eth0', 'up');
    inside('address', 'add', `${address}/32`, 'dev', 'eth0');
    inside('route', 'add', '169.254.1.1', 'dev', 'eth0', 'scope', 'link');
    inside('route', 'add', 'default', 'via', '169.254.1.1', 'dev', 'eth0');
    if (address6 === undefined) return;
    inside('address', 'add', `${address6}/128`, 'dev', 'eth0', 'nodad');
    inside('route', 'add', 'default', 'via', GATEWAY6, 'dev', 'eth0');
  }

  #spawn(netns: string, script: string, args: readonly string[]): ChildProcess {
    const argv = [`--net=/run/netns/${netns}`, process.execPath, '-e', script, ...args];
    const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  /** Echoes what it gets, until the world ends. */
  async serve(netns: string, port: number): Promise<void> {
    const child = this.#spawn(netns, SERVER, [String(port)]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
  }

  connect(netns: string, address: string, port: number, timeoutMs = 700): Conversation {
    return new Conversation(this.#spawn(netns, CLIENT, [address, String(port), String(timeoutMs)]));
  }

  /** Whether a new connection comes about and carries data. */
  async reaches(netns: string, address: string, port: number, timeoutMs = 700): Promise<boolean> {
    using conversation = this.connect(netns, address, port, timeoutMs);
    return (await conversation.next()) === 'open' && (await conversation.say('x')) === 'x';
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const netns of this.#namespaces.reverse()) run('ip', 'netns', 'del', netns);
    if (existsSync(this.bpfDir)) rmSync(this.bpfDir, { recursive: true, force: true });
  }
}
