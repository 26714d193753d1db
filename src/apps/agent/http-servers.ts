/** The agent's two HTTP servers, which follow the configuration while it runs. */
import { HttpServer, type Routes } from './http-server.js';
import type { ParameterValues } from './parameters.js';

/** Parameters that `apply` takes into the running process. */
export const LIVE_SERVER_PARAMETERS: readonly string[] = [
  'HealthEnabled',
  'HealthHost',
  'HealthPort',
  'PrometheusMetricsEnabled',
  'PrometheusMetricsHost',
  'PrometheusMetricsPort',
];

interface Place {
  readonly host: string;
  readonly port: number;
}

interface Slot {
  readonly routes: Routes;
  readonly place: (values: ParameterValues) => Place | undefined;
  at: Place | undefined;
  server: HttpServer | undefined;
}

const isSame = (a: Place | undefined, b: Place | undefined): boolean =>
  a?.host === b?.host && a?.port === b?.port;

export class HttpServers implements AsyncDisposable {
  readonly #slots: readonly Slot[];

  constructor(routes: { readonly health: Routes; readonly metrics: Routes }) {
    this.#slots = [
      {
        routes: routes.health,
        place: (values) =>
          values.HealthEnabled ? { host: values.HealthHost, port: values.HealthPort } : undefined,
        at: undefined,
        server: undefined,
      },
      {
        routes: routes.metrics,
        place: (values) =>
          values.PrometheusMetricsEnabled
            ? {
                // Empty is every address, IPv6 and IPv4.
                host: values.PrometheusMetricsHost || '::',
                port: values.PrometheusMetricsPort,
              }
            : undefined,
        at: undefined,
        server: undefined,
      },
    ];
  }

  /** Opens, moves or closes servers. A server that cannot move stays where it was. */
  async apply(values: ParameterValues): Promise<void> {
    for (const slot of this.#slots) {
      const wanted = slot.place(values);
      if (isSame(wanted, slot.at)) continue;
      const next =
        wanted === undefined
          ? undefined
          : await HttpServer.listen({ ...wanted, routes: slot.routes });
      await slot.server?.[Symbol.asyncDispose]();
      slot.server = next;
      slot.at = wanted;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const slot of this.#slots) await slot.server?.[Symbol.asyncDispose]();
  }
}
