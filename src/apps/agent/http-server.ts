/** Health and metrics over HTTP: GET only, fixed paths, bounded. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

export type Routes = Readonly<Record<string, () => Answer | Promise<Answer>>>;

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly routes: Routes;
}

export class HttpServer implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  static async listen(options: ListenOptions): Promise<HttpServer> {
    const server = createServer(
      { maxHeaderSize: 8192, requestTimeout: 5_000 },
      (request, response) => {
        const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
        const route = request.method === 'GET' ? options.routes[path] : undefined;
        const answer = route
          ? Promise.resolve().then(route)
          : Promise.resolve({ status: 404, body: 'not found\n' });
        answer
          .catch((): Answer => ({ status: 500, body: 'internal error\n' }))
          .then((ready: Answer) => {
            response.writeHead(ready.status, {
              'content-type': ready.type ?? 'text/plain; charset=utf-8',
            });
            response.end(ready.body);
          });
      },
    );
    server.maxConnections = 64;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return new HttpServer(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
