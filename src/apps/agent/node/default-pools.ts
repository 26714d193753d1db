/**
 * Address pools for a cluster that has none (spec/node.md 7). Any number of hosts may start at once: a name is
 * created once.
 */
import { randomBytes } from 'node:crypto';
import { CodedError, errorCode } from '../../../base/error.js';
import type { Log } from '../../../base/log.js';
import { Cidr, parseCidr } from '../../../base/net/cidr.js';
import { type IpFamily, ip6 } from '../../../base/net/ip.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { formatProblems } from '../../../model/api/problem.js';
import { API_VERSION } from '../../../model/api/registry.js';
import { validateResource } from '../../../model/api/validate.js';
import type { Resource } from '../../../model/update.js';
import type { InterfaceAddress } from './address-detection.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface DefaultPoolOptions {
  readonly store: Datastore;
  readonly log: Log;
  readonly environment: Environment;
  /** This host's, which an IPv4 range should not cover. */
  readonly addresses: readonly InterfaceAddress[];
  readonly ipv6: boolean;
}

const IPIP_MODES: Readonly<Record<string, string>> = {
  '': 'Never',
  off: 'Never',
  never: 'Never',
  always: 'Always',
  crosssubnet: 'CrossSubnet',
  'cross-subnet': 'CrossSubnet',
};
const DEFAULT_IPV4 = [
  '192.168.0.0/16',
  ...Array.from({ length: 16 }, (_, i) => `172.${16 + i}.0.0/16`),
];

/** @throws CodedError ERR_NODE_POOL naming the variable that makes no sense */
export async function createDefaultPools(options: DefaultPoolOptions): Promise<void> {
  const { environment } = options;
  if (environment['NO_DEFAULT_POOLS']?.toLowerCase() === 'true') {
    const given = ([4, 6] as const).find((family) => environment[`CALICO_IPV${family}POOL_CIDR`]);
    if (given === undefined) return;
    const variable = `CALICO_IPV${given}POOL_CIDR`;
    throw new CodedError('ERR_NODE_POOL', `${variable} is set, but NO_DEFAULT_POOLS is true`);
  }
  const wanted = ([4, 6] as const).filter((family) => family === 4 || options.ipv6);
  const pools = wanted.flatMap((family) => poolOf(family, options) ?? []);
  const existing = (await options.store.list({ kind: 'IPPool' })).items.map(({ value }) =>
    familyOf(value),
  );
  for (const pool of pools) {
    if (!existing.includes(familyOf(pool))) await create(pool, options);
  }
}

const cidrOf = (pool: Resource): string => String((pool.spec as { cidr?: unknown }).cidr);
const familyOf = (pool: Resource): IpFamily | undefined =>
  parseCidr(cidrOf(pool), { allowHostBits: true })?.family;

async function create(pool: Resource, { store, log }: DefaultPoolOptions): Promise<void> {
  try {
    await store.create({ kind: 'IPPool', name: pool.metadata.name }, pool);
    log.info({ pool: pool.metadata.name, cidr: cidrOf(pool) }, 'default address pool created');
  } catch (error) {
    if (errorCode(error) !== 'ERR_DATASTORE_EXISTS') throw error;
  }
}

/** undefined: 'none' asked for none. */
function poolOf(family: IpFamily, options: DefaultPoolOptions): Resource | undefined {
  const variable = (suffix: string): string => `CALICO_IPV${family}POOL_${suffix}`;
  const text = (suffix: string): string => options.environment[variable(suffix)] ?? '';
  if (text('CIDR').toLowerCase() === 'none') return undefined;
  const given = text('CIDR') === '' ? undefined : parseCidr(text('CIDR'));
  if (given === null || (given !== undefined && given.family !== family)) {
    throw wrong(variable('CIDR'), text('CIDR'), `an IPv${family} CIDR or "none"`);
  }
  const mode = (suffix: string): string => {
    const found = IPIP_MODES[text(suffix).toLowerCase()];
    if (found === undefined) {
      throw wrong(variable(suffix), text(suffix), 'one of Always, CrossSubnet, Never, Off');
    }
    return found;
  };
  const pool = {
    apiVersion: API_VERSION,
    kind: 'IPPool',
    metadata: { name: `default-ipv${family}-ippool` },
    spec: {
      cidr: (given ?? defaultCidr(family, options)).toString(),
      ipipMode: family === 4 ? mode('IPIP') : 'Never',
      vxlanMode: mode('VXLAN'),
      natOutgoing: bool(text('NAT_OUTGOING'), family === 4),
      nodeSelector: text('NODE_SELECTOR') || 'all()',
      blockSize: Number(text('BLOCK_SIZE') || (family === 4 ? 26 : 122)),
      ...(bool(text('DISABLE_BGP_EXPORT'), false) ? { disableBGPExport: true } : {}),
    },
  };
  const checked = validateResource(pool, { mode: 'create' });
  if (checked.ok) return checked.resource;
  throw new CodedError(
    'ERR_NODE_POOL',
    `CALICO_IPV${family}POOL_*: ${formatProblems(checked.problems)}`,
  );
}

function wrong(variable: string, text: string, wanted: string): CodedError {
  return new CodedError('ERR_NODE_POOL', `${variable}: "${text}" is not ${wanted}`);
}

/** Any other word is true, as the field has it. */
function bool(text: string, unset: boolean): boolean {
  return text === '' ? unset : !['false', '0', 'no', 'n', 'f'].includes(text.toLowerCase());
}

function defaultCidr(family: IpFamily, { addresses }: DefaultPoolOptions): Cidr {
  // RFC 4193: a random site of the locally assigned range.
  if (family === 6) {
    const random = randomBytes(5);
    return new Cidr(
      ip6((0xfd00_0000 | random.readUIntBE(0, 3)) >>> 0, random.readUInt16BE(3) * 65_536, 0, 0),
      48,
    );
  }
  const own = addresses.flatMap(({ address }) => parseCidr(address, { allowHostBits: true }) ?? []);
  const ranges = DEFAULT_IPV4.flatMap((text) => parseCidr(text) ?? []);
  const free = ranges.find((range) => !own.some((address) => range.overlaps(address)));
  const [first] = ranges;
  if (first === undefined) throw new TypeError('no default range');
  return free ?? first;
}
