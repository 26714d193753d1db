/**
 * A router of another make: FRR's zebra and bgpd in a namespace of the lab, told and asked on their own sockets, as
 * vtysh would. Debian's package, unpacked, so nothing of it is installed on the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { REPOSITORY } from '../support/repository.js';
import { netnsPath } from './lab-run.js';

const ROOT = join(REPOSITORY, '.cache', 'debian');
const INSTALLED = '/usr/lib/frr';
/** zebra wants its user in this group, and gives it its socket; the package would have made both. */
const GROUP = 'frrvty';
const GROUP_LINE = new RegExp(`^${GROUP}:.*\n`, 'gm');
const START_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 10_000;

type Daemon = 'zebra' | 'bgpd';

interface Programs {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly modules: string;
}

function programs(): Programs {
  const unpacked = join(ROOT, INSTALLED);
  const [root, folder] = existsSync(unpacked) ? [ROOT, unpacked] : ['/', INSTALLED];
  const libraries = join(root, 'usr', 'lib');
  const triplet = readdirSync(libraries).find((name) => existsSync(join(libraries, name, 'frr')));
  if (triplet === undefined) throw new Error(`no libraries of FRR below ${libraries}`);
  const places = [join(libraries, triplet), join(libraries, triplet, 'frr')];
  places.push(join(root, 'lib', triplet));
  return {
    folder,
    environment: { ...process.env, LD_LIBRARY_PATH: places.join(':') },
    modules: join(libraries, triplet, 'frr', 'modules'),
  };
}

export class Frr {
  readonly #dir: string;
  readonly #netns: string;
  readonly #programs = programs();
  readonly #running: ChildProcess[] = [];

  private constructor(dir: string, netns: string) {
    this.#dir = dir;
    this.#netns = netns;
  }

  /** Starts zebra, then bgpd with this configuration. They end with the namespace's lab. */
  static async start(where: { readonly dir: string; readonly netns: string }, bgp: string) {
    const frr = new Frr(where.dir, where.netns);
    mkdirSync(frr.#dir, { recursive: true });
    await frr.#start('zebra', '');
    await frr.#start('bgpd', bgp);
    return frr;
  }

  async #start(daemon: Daemon, configuration: string): Promise<void> {
    const file = (suffix: string): string => join(this.#dir, `${daemon}.${suffix}`);
    writeFileSync(file('conf'), configuration);
    const groups = join(this.#dir, 'group');
    const others = readFileSync('/etc/group', 'utf8').replaceAll(GROUP_LINE, '');
    writeFileSync(groups, `${others}${GROUP}:x:65432:root\n`);
    const { folder, environment, modules } = this.#programs;
    const argv = [
      join(folder, daemon),
      ...['-u', 'root', '-g', 'root', '--moduledir', modules, '-A', '127.0.0.1'],
      ...['-f', file('conf'), '-i', file('pid'), '-z', join(this.#dir, 'zserv.api')],
      ...['--vty_socket', this.#dir, '--log', `file:${file('log')}`],
    ];
    // Seen by this daemon alone: a mount namespace of its own.
    const script = 'mount --bind "$1" /etc/group && shift && exec "$@"';
    const child = spawn(
      'nsenter',
      [
        `--net=${netnsPath(this.#netns)}`,
        ...['unshare', '--mount', 'setpriv', '--pdeathsig', 'KILL'],
        ...['sh', '-c', script, 'sh', groups, ...argv],
      ],
      { env: environment, stdio: 'ignore' },
    );
    this.#running.push(child);
    const logOf = (): string => (existsSync(file('log')) ? readFileSync(file('log'), 'utf8') : '');
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!existsSync(file('vty'))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`${daemon} did not start: exit status ${child.exitCode}: ${logOf()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** One session with a daemon: its answer to each command, in order. A refused command is an error. */
  async tell(daemon: Daemon, commands: readonly string[]): Promise<readonly string[]> {
    const socket = connect(join(this.#dir, `${daemon}.vty`));
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error(`${daemon} is silent`)));
    try {
      await once(socket, 'connect');
      const answers: string[] = [];
      const replies = repliesOf(socket);
      for (const command of ['enable', ...commands]) {
        socket.write(`${command}\0`);
        const { value } = await replies.next();
        if (value === undefined) throw new Error(`${daemon} hung up on: ${command}`);
        if (value.status !== 0) throw new Error(`${daemon} refused: ${command}: ${value.text}`);
        answers.push(value.text);
      }
      return answers.slice(1);
    } finally {
      socket.destroy();
    }
  }

  async ask(daemon: Daemon, command: string): Promise<string> {
    const [answer = ''] = await this.tell(daemon, [command]);
    return answer;
  }
}

/** An answer is text, then three zero bytes, then a status. */
async function* repliesOf(
  socket: Socket,
): AsyncGenerator<{ readonly text: string; readonly status: number }> {
  let pending = Buffer.alloc(0);
  for await (const chunk of socket) {
    pending = Buffer.concat([pending, chunk as Buffer]);
    for (;;) {
      const end = pending.indexOf('\0\0\0');
      if (end < 0 || pending.length < end + 4) break;
      yield { text: pending.subarray(0, end).toString(), status: pending[end + 3] ?? 1 };
      pending = pending.subarray(end + 4);
    }
  }
}
