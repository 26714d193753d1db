/** `margay node run`: options as the environment that the agent reads, then the agent in the foreground. */
import { get } from 'node:http';
import { CodedError } from '../../../base/error.js';
import { isIP } from 'node:net';
import { runForeground } from '../../../kernel/command.js';
import { Exit, type Session } from '../session.js';

export interface RunFlags {
  readonly name?: string;
  readonly ip?: string;
  readonly ip6?: string;
  readonly as?: string;
  readonly ipAutodetectionMethod?: string;
  readonly ip6AutodetectionMethod?: string;
  readonly backend?: string;
  readonly defaultIppools?: boolean;
  readonly dryrun?: boolean;
}

const STARTED = 'Calico node started successfully';
const READY_POLL_MS = 200;

export async function runNode(session: Session, flags: RunFlags): Promise<void> {
  const environment = environmentOf(flags);
  const argv = [process.execPath, process.argv[1] ?? 'margay', 'agent'] as const;
  if (flags.dryrun) {
    const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    session.out(`${[...words, 'margay', 'agent'].join(' ')}\n`);
    return;
  }
  const ended = new AbortController();
  const readiness = untilReady(ended.signal).then((isReady) => {
    if (isReady) session.out(`${STARTED}\n`);
  });
  const status = await runForeground({
    argv: [...argv],
    environment: { ...process.env, ...environment },
    signal: session.signal,
  });
  ended.abort();
  await readiness;
  if (status !== 0) throw new Exit(status);
}

/** @throws CodedError ERR_USAGE */
function environmentOf(flags: RunFlags): Readonly<Record<string, string>> {
  checkFamily('--ip', flags.ip, 4);
  checkFamily('--ip6', flags.ip6, 6);
  const entries: readonly (readonly [string, string | undefined])[] = [
    ['NODENAME', flags.name],
    ['IP', flags.ip],
    ['IP6', flags.ip6],
    ['AS', flags.as],
    ['IP_AUTODETECTION_METHOD', flags.ipAutodetectionMethod],
    ['IP6_AUTODETECTION_METHOD', flags.ip6AutodetectionMethod],
    ['CALICO_NETWORKING_BACKEND', flags.backend],
    ['NO_DEFAULT_POOLS', flags.defaultIppools === false ? 'true' : undefined],
  ];
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function checkFamily(option: string, text: string | undefined, family: 4 | 6): void {
  if (text === undefined || ['', 'autodetect', 'none'].includes(text)) return;
  const found = isIP(text.split('/')[0] ?? '');
  if (found === family) return;
  const message = found === 0 ? `"${text}" is not an IP address` : 'is wrong IP version';
  throw new CodedError('ERR_USAGE', `${option} ${message}`);
}

/** false: the agent ended before. */
async function untilReady(signal: AbortSignal): Promise<boolean> {
  const port = Number(process.env['FELIX_HEALTHPORT'] || 9099);
  while (!signal.aborted) {
    const status = await new Promise<number>((resolve) => {
      get({ host: 'localhost', port, path: '/readiness' }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      }).on('error', () => resolve(0));
    });
    if (status === 200) return true;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, READY_POLL_MS);
      signal.addEventListener('abort', done);
    });
  }
  return false;
}
