/** A real etcd of our own: loopback, free ports, a directory that goes with it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from './repository.js';

/** scripts/setup.mjs unpacks here what would start a daemon if it were installed. */
const PATH = `${process.env['PATH']}:${join(REPOSITORY, '.cache/debian/usr/bin')}`;

/** A test that is killed must not leave its servers behind. */
const LEASH = ['setpriv', '--pdeathsig', 'KILL'];

export interface EtcdServerOptions {
  readonly name?: string;
  /** Of a cluster: 'name=http://host:port,...'. */
  readonly initialCluster?: string;
  readonly peerPort?: number;
  readonly args?: readonly string[];
  /** Default 127.0.0.1. */
  readonly address?: string;
  readonly scheme?: 'http' | 'https';
  /** A network namespace to run in. */
  readonly netns?: string;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export class EtcdServer implements AsyncDisposable {
  readonly directory: string;
  readonly url: string;
  /** Enters a network namespace; empty: none. */
  readonly #enter: readonly string[];
  readonly #args: readonly string[];
  #process: ChildProcess | null = null;
  #log = '';

  private constructor(
    directory: string,
    url: string,
    how: { readonly enter: readonly string[]; readonly args: readonly string[] },
  ) {
    this.directory = directory;
    this.url = url;
    this.#enter = how.enter;
    this.#args = how.args;
  }

  /** Prepared but not running. */
  static async prepare(options: EtcdServerOptions = {}): Promise<EtcdServer> {
    const { name = 'one', address = '127.0.0.1', scheme = 'http' } = options;
    const directory = mkdtempSync(join(tmpdir(), 'margay-etcd-'));
    const url = `${scheme}://${address}:${await freePort()}`;
    const peerUrl = `http://${address}:${options.peerPort ?? (await freePort())}`;
    const enter =
      options.netns === undefined ? [] : ['nsenter', `--net=/run/netns/${options.netns}`];
    const args = [
      ...['--name', name, '--data-dir', join(directory, 'data'), '--logger', 'zap'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', options.initialCluster ?? `${name}=${peerUrl}`],
      // Elections in a moment, so that tests need not wait for them.
      ...['--heartbeat-interval', '50', '--election-timeout', '300'],
      ...(options.args ?? []),
    ];
    return new EtcdServer(directory, url, { enter, args });
  }

  static async start(options: EtcdServerOptions = {}): Promise<EtcdServer> {
    const server = await EtcdServer.prepare(options);
    await server.run();
    return server;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('etcd is not running');
    return pid;
  }

  /** Resolves when it serves. */
  async run(): Promise<void> {
    mkdirSync(this.directory, { recursive: true });
    const [file = '', ...args] = [...this.#enter, ...LEASH, 'etcd', ...this.#args];
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH, ETCD_UNSUPPORTED_ARCH: process.arch },
    });
    this.#process = child;
    this.#log = '';
    await new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        this.#log = (this.#log + chunk).slice(-20_000);
        if (/serving client traffic|ready to serve client/.test(this.#log)) resolve();
      };
      child.stdout.on('data', onData);
      child.stderr.on('data', onData);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`etcd ended with ${code}:\n${this.#log}`)));
    });
  }

  /** Resolves when it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  }

  /** `etcdctl`, against this server. @returns its standard output */
  ctl(...args: readonly string[]): string {
    const [file = '', ...argv] = [...this.#enter, 'etcdctl', '--endpoints', this.url, ...args];
    return execFileSync(file, argv, {
      encoding: 'utf8',
      env: { PATH, ETCDCTL_API: '3' },
      maxBuffer: 1 << 28,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  /**
   * Makes a server that is not running, and whose store holds one key at revision 2, continue from `revision`: the
   * entry's name in the store's file is its revision, and only the file's head is protected by a checksum.
   */
  setRevision(revision: bigint): void {
    const file = join(this.directory, 'data/member/snap/db');
    const bytes = readFileSync(file);
    const entry = (main: bigint): Buffer => {
      const name = Buffer.alloc(17);
      name.writeBigInt64BE(main, 0);
      name.write('_', 8);
      return name;
    };
    let found = 0;
    for (let at = bytes.indexOf(entry(2n)); at >= 0; at = bytes.indexOf(entry(2n), at + 1)) {
      entry(revision).copy(bytes, at);
      found += 1;
    }
    if (found === 0) throw new Error(`${file} holds no revision 2`);
    writeFileSync(file, bytes);
    const snapshots = readdirSync(join(this.directory, 'data/member/snap'));
    if (snapshots.some((name) => name.endsWith('.snap.db'))) throw new Error('unexpected snapshot');
  }
}
