/**
 * What one run of the lab owns: namespaces, processes in them, folders, pins; all under a prefix of its own, so that
 * everything can be found and removed again, also by the next run after a `kill -9` of this one.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const LABS = '/run/margay-lab';
const NETNS = '/run/netns';
const BPFFS = '/sys/fs/bpf';

/** A pid is reused one day, so it counts only together with its start time (proc(5), field 22). */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

export const netnsPath = (name: string): string => join(NETNS, name);

/** Runs `ip` with these arguments, in this network namespace if one is given. */
export function ip(args: string, netns?: string): string {
  const words = args.split(' ').filter((word) => word !== '');
  const argv = netns === undefined ? words : ['-n', netns, ...words];
  return execFileSync('ip', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export class LabRun implements Disposable {
  /** Prefix of every name, for example 'mgy3fa1'. */
  readonly id: string;
  readonly dir: string;

  private constructor(id: string) {
    this.id = id;
    this.dir = join(LABS, id);
  }

  /** Removes what dead runs left behind, then starts a new one. */
  static start(): LabRun {
    LabRun.sweep();
    const run = new LabRun(`mgy${randomBytes(2).toString('hex')}`);
    mkdirSync(run.dir, { recursive: true, mode: 0o700 });
    writeFileSync(join(run.dir, 'owner'), `${process.pid} ${startTime(process.pid)}`);
    return run;
  }

  /** Removes every run whose owner is gone and that was not kept. */
  static sweep(): void {
    if (!existsSync(LABS)) return;
    for (const id of readdirSync(LABS)) {
      const run = new LabRun(id);
      if (!run.#ownerAlive() && !existsSync(join(run.dir, 'kept'))) run.remove();
    }
  }

  /** Removes what this process made: for signal handlers. */
  static removeOwn(): void {
    if (!existsSync(LABS)) return;
    for (const id of readdirSync(LABS)) {
      const run = new LabRun(id);
      if (run.#ownerPid() === process.pid) run.remove();
    }
  }

  static kept(): readonly LabRun[] {
    if (!existsSync(LABS)) return [];
    return readdirSync(LABS)
      .map((id) => new LabRun(id))
      .filter((run) => existsSync(join(run.dir, 'kept')));
  }

  #ownerAlive(): boolean {
    return this.#ownerPid() !== null;
  }

  /** null when it has ended. */
  #ownerPid(): number | null {
    try {
      const [pid, started] = readFileSync(join(this.dir, 'owner'), 'utf8').split(' ');
      return startTime(Number(pid)) === started ? Number(pid) : null;
    } catch {
      return null;
    }
  }

  get bpfDir(): string {
    return join(BPFFS, `margay-lab-${this.id}`);
  }

  /** Not removed when this process ends; `remove()` still does. */
  keep(): void {
    writeFileSync(join(this.dir, 'kept'), '');
  }

  /** A network namespace of this run: its full name. */
  netns(name: string): string {
    return `${this.id}-${name}`;
  }

  addNetns(name: string): string {
    const full = this.netns(name);
    ip(`netns add ${full}`);
    ip('link set lo up', full);
    return full;
  }

  #namespaces(): readonly string[] {
    return existsSync(NETNS)
      ? readdirSync(NETNS).filter((name) => name.startsWith(`${this.id}-`))
      : [];
  }

  /** Ends the processes inside our namespaces, then removes everything. Safe to repeat. */
  remove(): void {
    const names = this.#namespaces();
    killInside(new Set(names.flatMap(inodeOf)));
    for (const name of names) ip(`netns del ${name}`);
    rmSync(this.bpfDir, { recursive: true, force: true });
    rmSync(this.dir, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    if (!existsSync(join(this.dir, 'kept'))) this.remove();
  }
}

function inodeOf(netns: string): readonly string[] {
  try {
    // A namespace has no name in /proc: a process inside is recognised by the inode.
    return [
      `net:[${execFileSync('stat', ['-L', '-c', '%i', netnsPath(netns)], { encoding: 'utf8' }).trim()}]`,
    ];
  } catch {
    return [];
  }
}

function killInside(inodes: ReadonlySet<string>): void {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (inodes.has(readlinkSync(`/proc/${pid}/ns/net`))) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}
