/** The session of one command line: the process's streams and the store its environment names. */
import { connectionFrom } from '../../datastore/connection.js';
import type { Datastore } from '../../datastore/datastore.js';
import type { Session } from './session.js';

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export class ProcessSession implements Session, AsyncDisposable {
  readonly signal: AbortSignal;
  readonly interactive = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb';
  #store: Promise<Datastore> | undefined;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  out = (text: string): void => {
    process.stdout.write(text);
  };

  err = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };

  connection = () => connectionFrom(process.env);

  store = (): Promise<Datastore> => {
    this.#store ??= import('../../datastore/open.js').then(({ openDatastore }) =>
      openDatastore({ ...this.connection(), signal: this.signal }),
    );
    return this.#store;
  };

  readInput = (): Promise<string> => readAll(process.stdin);

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    await store?.[Symbol.asyncDispose]();
  }
}
