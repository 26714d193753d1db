/** The session of one command line: the process's streams, and the store its options, file or environment name. */
import type { Connection } from '../../datastore/connection.js';
import type { Datastore } from '../../datastore/datastore.js';
import { type Paint, paintFor, wantsColor } from './color.js';
import { chooseConnection } from './connection-file.js';
import type { GlobalOptions } from './global-options.js';
import { Progress } from './progress.js';
import type { Session } from './session.js';

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export interface ProcessSessionOptions {
  readonly signal: AbortSignal;
  readonly globals: GlobalOptions;
  readonly compatible: boolean;
}

export class ProcessSession implements Session, AsyncDisposable {
  readonly signal: AbortSignal;
  readonly compatible: boolean;
  readonly paint: Paint;
  readonly interactive = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb';
  readonly mayAsk: boolean = process.stdin.isTTY === true && process.stderr.isTTY === true;
  readonly #globals: GlobalOptions;
  #connection: Promise<Connection> | undefined;
  #store: Promise<Datastore> | undefined;
  #checked: Promise<void> | undefined;

  constructor(options: ProcessSessionOptions) {
    this.signal = options.signal;
    this.compatible = options.compatible;
    this.#globals = options.globals;
    const color = options.compatible ? 'never' : options.globals.color;
    this.paint = paintFor(wantsColor(color, process.stdout, process.env));
  }

  out = (text: string): void => {
    process.stdout.write(text);
  };

  err = (line: string): void => {
    (this.compatible ? process.stdout : process.stderr).write(`${line}\n`);
  };

  done = (line: string): void => {
    if (!this.#globals.quiet) this.out(`${line}\n`);
  };

  connection = (): Promise<Connection> => {
    this.#connection ??= this.#choose();
    return this.#connection;
  };

  async #choose(): Promise<Connection> {
    const { connection, source } = await chooseConnection(this.#globals, process.env);
    if (['info', 'debug'].includes(this.#globals.logLevel)) {
      const { createLog } = await import('../../base/log.js');
      const log = createLog('margay', { level: this.#globals.logLevel });
      log.info({ source, type: connection.type }, 'datastore connection chosen');
    }
    return connection;
  }

  store = async (options: { readonly anyVersion?: boolean } = {}): Promise<Datastore> => {
    this.#store ??= this.#open();
    const store = await this.#store;
    if (options.anyVersion !== true && !this.compatible) {
      this.#checked ??= this.#checkVersion(store);
      await this.#checked;
    }
    return store;
  };

  async #open(): Promise<Datastore> {
    const connection = await this.connection();
    const timeoutMs = this.#globals.requestTimeoutMs;
    const { openDatastore } = await import('../../datastore/open.js');
    const { bounded, withinTime } = await import('./bounded-datastore.js');
    const opening = openDatastore({ ...connection, signal: this.signal });
    const what = `opening the ${connection.type} datastore`;
    return bounded(await withinTime(opening, { timeoutMs, what }), { timeoutMs, connection });
  }

  async #checkVersion(store: Datastore): Promise<void> {
    const { checkClusterVersion } = await import('./cluster-version.js');
    const warning = await checkClusterVersion(store, {
      allowMismatch: this.#globals.allowVersionMismatch,
    });
    if (warning !== undefined && !this.#globals.quiet) this.err(warning);
  }

  ask = async (question: string): Promise<boolean> => {
    if (!this.mayAsk) return false;
    const { createInterface } = await import('node:readline/promises');
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      const answer = await lines.question(`${question} [y/N] `, { signal: this.signal });
      return /^y(es)?$/i.test(answer.trim());
    } finally {
      lines.close();
    }
  };

  readInput = (): Promise<string> => readAll(process.stdin);

  progress = (): Progress => {
    const redraw = this.interactive && !process.env['CI'];
    const style = this.#globals.quiet || this.compatible ? 'none' : redraw ? 'redraw' : 'plain';
    return new Progress({ style, write: (text) => process.stderr.write(text) });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    await store?.[Symbol.asyncDispose]();
  }
}
