/** Talks to this host's agent through the socket in its run directory. */
import { request } from 'node:http';
import { join } from 'node:path';
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import { CONTROL_SOCKET } from '../../observe/agent-protocol.js';

const ANSWER_MAX = 16 << 20;
const TIMEOUT_MS = 10_000;

export function runDirectory(environment: NodeJS.ProcessEnv): string {
  return environment['MARGAY_RUN_DIR'] || '/run/margay';
}

/**
 * @throws CodedError ERR_AGENT_SOCKET when no agent listens there, or it refuses.
 */
export function askAgent(
  runDir: string,
  path: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<unknown> {
  const socketPath = join(runDir, CONTROL_SOCKET);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(socketError(socketPath, error));
    const query = request({ socketPath, path, signal, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > ANSWER_MAX) response.destroy(new Error(`answers more than ${ANSWER_MAX} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else fail(new Error(`answers ${response.statusCode}: ${text.trim()}`));
      });
    });
    query.on('timeout', () => query.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    query.on('error', fail);
    query.end();
  });
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
