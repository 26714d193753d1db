/** BIRD's control socket (spec/bgp.md 7): one command, its answer. Serves the agent and `margay node status`. */
import { connect, type Socket } from 'node:net';
import { CodedError, errorMessage } from '../../../base/error.js';

const TIMEOUT_MS = 2000;

export interface Reply {
  /** Four digits of the line; a line that repeats the code before has that. */
  readonly code: string;
  readonly text: string;
}

/**
 * Sends one command.
 *
 * @returns the lines of its answer
 * @throws CodedError ERR_BIRD_CONTROL when nobody answers in two seconds
 */
export async function askBird(path: string, command: string): Promise<readonly Reply[]> {
  const socket = connect(path);
  try {
    const replies = new Replies(socket);
    await replies.next(path);
    socket.write(`${command}\n`);
    return await replies.next(path);
  } catch (error) {
    throw new CodedError('ERR_BIRD_CONTROL', `BIRD at ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    socket.destroy();
  }
}

/** Takes a stream of lines apart into answers: the last line of each has a blank after its code. */
class Replies {
  readonly #socket: Socket;
  #text = '';
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('no answer in 2 s')));
    socket.on('data', (text: string) => {
      this.#text += text;
      this.#wake();
    });
    socket.on('error', (error) => {
      this.#failure = error;
      this.#wake();
    });
    socket.on('close', () => {
      this.#failure ??= new Error('the connection was closed');
      this.#wake();
    });
  }

  async next(path: string): Promise<readonly Reply[]> {
    for (;;) {
      const answer = this.#take();
      if (answer !== null) return answer;
      if (this.#failure) throw this.#failure;
      if (this.#socket.destroyed) throw new Error(`${path} is closed`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(): readonly Reply[] | null {
    const lines = this.#text.split('\n');
    const last = lines.slice(0, -1).findIndex((line) => /^\d{4} /.test(line));
    if (last < 0) return null;
    this.#text = lines.slice(last + 1).join('\n');
    let code = '';
    return lines.slice(0, last + 1).map((line) => {
      const match = /^(\d{4})[ -](.*)$/.exec(line);
      code = match?.[1] ?? code;
      return { code, text: match?.[2] ?? line.slice(1) };
    });
  }
}

export interface Session {
  readonly name: string;
  readonly kind: 'Mesh' | 'Global' | 'Node';
  readonly ip: string;
  /** 'up', 'start', 'down'. */
  readonly state: string;
  readonly since: string;
  /** 'Established', 'Active Socket: Connection refused': BGP's own state and why. */
  readonly info: string;
}

/** Of `show protocols`: the sessions with peers that the agent configured. */
export function sessionsOf(replies: readonly Reply[]): readonly Session[] {
  return replies.flatMap(({ text }) => {
    const match = /^((Mesh|Global|Node)_(\S+))\s+BGP\s+\S+\s+(\S+)\s+(\S+)\s*(.*)$/.exec(text);
    if (match === null) return [];
    const [, name = '', kind, address = '', state = '', since = '', info = ''] = match;
    const bare = address.replace(/_port_\d+$/, '');
    const isIp4 = /^\d+_\d+_\d+_\d+$/.test(bare);
    const ip = bare.replaceAll('_', isIp4 ? '.' : ':');
    const words = info.trim().replaceAll(/\s+/g, ' ');
    return [{ name, kind: kind as Session['kind'], ip, state, since, info: words }];
  });
}
