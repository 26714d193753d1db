/** The agent's control socket: JSON over HTTP, on a unix socket that only its owner may open. GET only. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { errorMessage } from '../../base/error.js';
import { CONTROL_SOCKET } from '../../observe/agent-protocol.js';

/** Answers by itself, now or later, for as long as the response is open. */
export type ControlRoute = (query: URLSearchParams, response: ServerResponse) => void;

const CONNECTIONS_MAX = 64;

export class ControlServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #path: string;

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** The run directory is this agent's alone: a socket in it is a dead agent's. */
  static async listen(
    runDir: string,
    routes: Readonly<Record<string, ControlRoute>>,
  ): Promise<ControlServer> {
    const path = join(runDir, CONTROL_SOCKET);
    rmSync(path, { force: true });
    const server = createServer({ maxHeaderSize: 8192 }, (request, response) => {
      const url = new URL(request.url ?? '/', 'http://agent');
      const route = request.method === 'GET' ? routes[url.pathname] : undefined;
      if (route === undefined) {
        refuse(response, 404, `${request.method} ${url.pathname}: no such path`);
        return;
      }
      try {
        route(url.searchParams, response);
      } catch (error) {
        refuse(response, 500, errorMessage(error));
      }
    });
    server.maxConnections = CONNECTIONS_MAX;
    const umask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, () => {
          server.off('error', reject);
          resolve();
        });
      });
    } finally {
      process.umask(umask);
    }
    chmodSync(path, 0o600);
    return new ControlServer(server, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#path, { force: true });
  }
}

export function answer(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}

export function refuse(response: ServerResponse, status: number, reason: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${reason}\n`);
}
