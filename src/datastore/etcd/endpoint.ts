/** One member of the cluster and the connection to it, made when first used. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Procedure } from './api.js';

/**
 * etcd refuses pings more often than every 5 s, and those of idle clients. A member that is silent for 15 s while a
 * watch or call waits for it is given up: half-open connections are found even where nothing is ever sent.
 */
const OPTIONS: ClientOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // Pages of a list; how many objects they have follows their size.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // Nothing that the environment says of proxies is meant for a datastore.
  'grpc.enable_http_proxy': 0,
};

const DEFAULT_PORT = 2379;

/** PEM; null: the system's roots, or no client certificate. */
export interface Secrets {
  readonly ca: Buffer | null;
  readonly key: Buffer | null;
  readonly certificate: Buffer | null;
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly token: string | null;
}

const toBuffer = (value: Buffer): Buffer => value;

export class Endpoint {
  readonly url: string;
  readonly #client: Client;
  /** Closing ends them: nobody waits for an answer any more. */
  readonly #calls = new Set<ClientUnaryCall>();

  /** Does no I/O. @param url 'http://host:port' or 'https://host:port' */
  constructor(url: string, secrets: Secrets) {
    this.url = url;
    const { protocol, hostname, port } = new URL(url);
    const target = `${hostname}:${port || DEFAULT_PORT}`;
    if (protocol !== 'https:') {
      this.#client = new Client(target, credentials.createInsecure(), OPTIONS);
      return;
    }
    const { ca, key, certificate } = secrets;
    const address = hostname.replace(/^\[|\]$/g, '');
    const byAddress = isIP(address) !== 0;
    const verify = byAddress
      ? {
          checkServerIdentity: (_: string, peer: PeerCertificate) =>
            checkServerIdentity(address, peer),
        }
      : {};
    // The name sent to the server must not be an address (RFC 6066); the certificate is checked against it all the same.
    const override = byAddress ? { 'grpc.ssl_target_name_override': 'etcd' } : {};
    this.#client = new Client(target, credentials.createSsl(ca, key, certificate, verify), {
      ...OPTIONS,
      ...override,
    });
  }

  /** @throws ServiceError */
  async call<I, O>(procedure: Procedure<I, O>, request: I, options: CallOptions): Promise<O> {
    const { path, request: input, response: output } = procedure;
    return await new Promise<O>((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        toBuffer,
        (bytes: Buffer) => output.decode(bytes),
        input.encode(request),
        metadataFor(options.token),
        { deadline: Date.now() + options.timeoutMs },
        (error: ServiceError | null, value?: O) => {
          this.#calls.delete(call);
          if (error !== null) reject(error);
          else if (value === undefined) reject(new Error(`${path}: an answer without a message`));
          else resolve(value);
        },
      );
      this.#calls.add(call);
    });
  }

  /** Ended by the server, too, when the member loses its leader: it would be silent, not wrong. */
  stream<I, O>(procedure: Procedure<I, O>, token: string | null): ClientDuplexStream<I, O> {
    const { path, request, response } = procedure;
    const metadata = metadataFor(token);
    metadata.set('hasleader', 'true');
    return this.#client.makeBidiStreamRequest(
      path,
      (value: I) => request.encode(value),
      (bytes: Buffer) => response.decode(bytes),
      metadata,
    );
  }

  close(): void {
    for (const call of this.#calls) call.cancel();
    this.#client.close();
  }
}

function metadataFor(token: string | null): Metadata {
  const metadata = new Metadata();
  if (token !== null) metadata.set('token', token);
  return metadata;
}
