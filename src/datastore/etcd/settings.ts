/** How to reach an etcd cluster (spec/datastore.md 3.4). Loads nothing: reading settings costs no command line. */
import { CodedError } from '../../base/error.js';

/** A certificate or key in PEM: in a file, or written out. */
export type Pem = { readonly file: string } | { readonly text: string };

export interface EtcdSettings {
  /** `http://host:port` or `https://host:port`, all of one scheme; tried in this order. Empty only with discovery. */
  readonly endpoints: readonly string[];
  /** A domain whose SRV records name the endpoints. */
  readonly discoverySrv?: string;
  /** Used only if both are set. */
  readonly username?: string;
  readonly password?: string;
  /** Of the servers; absent: the system's roots. May hold several. */
  readonly ca?: Pem;
  /** Of this client: both or neither. */
  readonly certificate?: Pem;
  readonly key?: Pem;
}

const wrong = (detail: string): CodedError => new CodedError('ERR_CONNECTION_ETCD', detail);

/**
 * @param setting the value of ETCD_ENDPOINTS and so on; undefined when unset
 * @throws CodedError ERR_CONNECTION_ETCD, naming the setting, what was found and what was wanted
 */
export function etcdSettings(setting: (name: string) => string | undefined): EtcdSettings {
  const endpoints = etcdEndpoints(setting('ETCD_ENDPOINTS') ?? legacyEndpoint(setting) ?? '');
  const discoverySrv = setting('ETCD_DISCOVERY_SRV');
  if (endpoints.length > 0 && discoverySrv !== undefined)
    throw wrong('ETCD_ENDPOINTS and ETCD_DISCOVERY_SRV are both set: give one');
  if (endpoints.length === 0 && discoverySrv === undefined)
    throw wrong(
      'no etcd endpoints specified: set ETCD_ENDPOINTS, for example https://10.0.0.1:2379',
    );
  const username = setting('ETCD_USERNAME');
  const password = setting('ETCD_PASSWORD');
  const ca = pem(setting, 'ETCD_CA_CERT');
  const certificate = pem(setting, 'ETCD_CERT');
  const key = pem(setting, 'ETCD_KEY');
  if ((certificate === undefined) !== (key === undefined))
    throw wrong('ETCD_CERT_FILE and ETCD_KEY_FILE go together: one of the two is not set');
  return {
    endpoints,
    ...(discoverySrv === undefined ? {} : { discoverySrv }),
    ...(username !== undefined && password !== undefined ? { username, password } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
  };
}

/** In the file that `..._FILE` names, or, in a connection file, written out. */
function pem(setting: (name: string) => string | undefined, name: string): Pem | undefined {
  const [file, text] = [setting(`${name}_FILE`), setting(name)];
  if (file !== undefined && text !== undefined)
    throw wrong(`${name} is given as a file and inline: give one`);
  if (file !== undefined) return { file };
  return text === undefined ? undefined : { text };
}

/** Of versions before 3: `host:port`, and the scheme apart. */
function legacyEndpoint(setting: (name: string) => string | undefined): string | undefined {
  const authority = setting('ETCD_AUTHORITY');
  return authority && `${setting('ETCD_SCHEME') ?? 'http'}://${authority}`;
}

/** @throws CodedError ERR_CONNECTION_ETCD */
export function etcdEndpoints(list: string): readonly string[] {
  const endpoints = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const schemes = new Set(endpoints.map(schemeOf));
  if (schemes.size > 1) throw wrong(`ETCD_ENDPOINTS: "${list}" mixes http and https`);
  return endpoints;
}

function schemeOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  const isBare = url !== null && (url.pathname === '/' || url.pathname === '') && url.search === '';
  if (url !== null && isBare && url.hostname !== '' && /^https?:$/.test(url.protocol))
    return url.protocol;
  throw wrong(`ETCD_ENDPOINTS: "${endpoint}" is not http://host:port or https://host:port`);
}
