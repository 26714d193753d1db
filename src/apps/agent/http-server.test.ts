import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HttpServer } from './http-server.js';

describe('the HTTP server', () => {
  let server: HttpServer;
  const get = (path: string, method = 'GET'): Promise<Response> =>
    fetch(`http://127.0.0.1:${server.port}${path}`, { method });

  beforeAll(async () => {
    server = await HttpServer.listen({
      ...{ host: '127.0.0.1', port: 0 },
      routes: {
        '/live': () => ({ status: 200, body: 'live\n' }),
        '/not-ready': async () => ({ status: 503, body: 'wait\n', type: 'text/x-test' }),
        '/throws': () => {
          throw new Error('a secret');
        },
        '/rejects': () => Promise.reject(new Error('a secret')),
      },
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each([
    ['GET', '/live', 200, 'live\n'],
    ['GET', '/live?verbose=1', 200, 'live\n'],
    ['GET', '/not-ready', 503, 'wait\n'],
    ['GET', '/', 404, 'not found\n'],
    ['GET', '/live/', 404, 'not found\n'],
    ['GET', '/../live%00', 404, 'not found\n'],
    ['POST', '/live', 404, 'not found\n'],
    ['DELETE', '/live', 404, 'not found\n'],
    ['GET', '/throws', 500, 'internal error\n'],
    ['GET', '/rejects', 500, 'internal error\n'],
  ])('%s %s is answered %d', async (method, path, status, body) => {
    const answer = await get(path, method);
    expect([answer.status, await answer.text()]).toEqual([status, body]);
  });

  test('HEAD has no route and no body', async () => {
    const answer = await get('/live', 'HEAD');
    expect([answer.status, await answer.text()]).toEqual([404, '']);
  });

  test('a type is passed on, plain text is the default', async () => {
    const types = await Promise.all(
      ['/live', '/not-ready'].map(async (path) => (await get(path)).headers.get('content-type')),
    );
    expect(types).toEqual(['text/plain; charset=utf-8', 'text/x-test']);
  });

  test('names that every object has are no routes', async () => {
    expect((await get('/constructor')).status).toBe(404);
  });

  test('a port that is taken is an error', async () => {
    const again = HttpServer.listen({ host: '127.0.0.1', port: server.port, routes: {} });
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
