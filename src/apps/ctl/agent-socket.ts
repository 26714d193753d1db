/** Talks to this host's agent through the socket in its run directory. */
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import { CONTROL_SOCKET } from '../../observe/agent-protocol.js';

const ANSWER_MAX = 16 << 20;
const TIMEOUT_MS = 10_000;

export function runDirectory(environment: NodeJS.ProcessEnv): string {
  return environment['MARGAY_RUN_DIR'] || '/run/margay';
}

interface Ask {
  readonly signal: AbortSignal;
}

/**
 * @throws CodedError ERR_AGENT_SOCKET when no agent listens there, or it refuses.
 */
export async function askAgent(runDir: string, path: string, { signal }: Ask): Promise<unknown> {
  const socketPath = join(runDir, CONTROL_SOCKET);
  const timed = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    return JSON.parse(await textOf(await open(socketPath, path, timed)));
  } catch (error) {
    signal.throwIfAborted();
    throw socketError(socketPath, error);
  }
}

/**
 * Lines of an answer as they come, for as long as the agent has more.
 *
 * @throws CodedError ERR_AGENT_SOCKET as askAgent(), and when the agent goes away.
 */
export async function* agentLines(
  runDir: string,
  path: string,
  { signal }: Ask,
): AsyncGenerator<string, void> {
  const socketPath = join(runDir, CONTROL_SOCKET);
  try {
    const response = await open(socketPath, path, signal);
    yield* createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
    if (!response.complete) throw new Error('the agent has gone away');
  } catch (error) {
    signal.throwIfAborted();
    throw socketError(socketPath, error);
  }
}

/** The answer's head has come, and it is good. */
async function open(
  socketPath: string,
  path: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path, signal }, resolve).on('error', reject).end();
  });
  if (response.statusCode === 200) return response;
  throw new Error(`answers ${response.statusCode}: ${(await textOf(response)).trim()}`);
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > ANSWER_MAX) throw new Error(`answers more than ${ANSWER_MAX} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function socketError(path: string, error: unknown): CodedError {
  const code = errorCode(error);
  const reason =
    code === 'ENOENT' || code === 'ECONNREFUSED'
      ? 'no agent listens there'
      : code === 'EACCES'
        ? 'permission denied, only root may ask'
        : errorMessage(error);
  return new CodedError('ERR_AGENT_SOCKET', `${path}: ${reason}`, { cause: error });
}
