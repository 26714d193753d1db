/**
 * Where address management keeps its objects (spec/datastore.md 2.4, names of 6.2): blocks, affinities, handles, hosts
 * and the one configuration. They are resources like all others to the drivers, but for their paths, and for their
 * values, which have no envelope (src/datastore/ipam-value.ts). Pure: text in, text out.
 */
import { parseCidr } from '../base/net/cidr.js';
import type { ResourceKey } from './update.js';

const PREFIX = '/calico/ipam/v2/';
const CONFIG_PATH = `${PREFIX}config`;
const BLOCKS = `${PREFIX}assignment/`;
const HANDLES = `${PREFIX}handle/`;
const OWNERS = { host: `${PREFIX}host/`, virtual: `${PREFIX}virtual/` } as const;

export type AffinityType = keyof typeof OWNERS;

/** IPAMBlock, IPAMHandle and IPAMHost are internal: no command shows them and no agent follows them. */
const KINDS = [
  'IPAMBlock',
  'IPAMHandle',
  'IPAMHost',
  'BlockAffinity',
  'IPAMConfiguration',
] as const;
export type IpamKind = (typeof KINDS)[number];

export function isIpamKind(kind: string): kind is IpamKind {
  return (KINDS as readonly string[]).includes(kind);
}

/** '10.48.3.0/26' is '10-48-3-0-26' in names; the CIDR must be canonical. */
export function cidrName(cidr: string): string {
  return cidr.replace(/[.:/]/g, '-');
}

const NAME_V4 = /^(\d+)-(\d+)-(\d+)-(\d+)-(\d+)$/;
const NAME_V6 = /^([0-9a-f-]*-[0-9a-f-]*)-(\d+)$/;

/** The inverse of cidrName; null for what no CIDR is called. */
export function cidrOfName(name: string): string | null {
  const v4 = NAME_V4.exec(name);
  const v6 = NAME_V6.exec(name);
  const text = v4
    ? `${v4.slice(1, 5).join('.')}/${v4[5]}`
    : v6 && `${v6[1]?.replaceAll('-', ':')}/${v6[2]}`;
  const cidr = text ? parseCidr(text) : null;
  return cidr !== null && cidr.toString() === text ? text : null;
}

/** The last part of a path: '10.48.3.0-26'. */
const cidrSegment = (cidr: string): string => cidr.replace('/', '-');

/** The directory and last parts: 'ipv4/block/10.48.3.0-26'. */
const familyPath = (cidr: string): string =>
  `ipv${cidr.includes(':') ? 6 : 4}/block/${cidrSegment(cidr)}`;

export interface AffinityIdentity {
  readonly type: AffinityType;
  readonly host: string;
  /** Canonical. */
  readonly cidr: string;
}

export function affinityName({ host, cidr }: Omit<AffinityIdentity, 'type'>): string {
  return `${host}-${cidrName(cidr)}`;
}

export function affinityPath({ type, host, cidr }: AffinityIdentity): string {
  return `${OWNERS[type]}${host}/${familyPath(cidr)}`;
}

/** Every host and CIDR that together are called so. Several only where a host's name ends like an IPv6 address. */
function affinitiesNamed(name: string): readonly AffinityIdentity[] {
  const found: AffinityIdentity[] = [];
  for (let dash = name.indexOf('-', 1); dash > 0; dash = name.indexOf('-', dash + 1)) {
    const cidr = cidrOfName(name.slice(dash + 1));
    const host = name.slice(0, dash);
    if (cidr === null) continue;
    found.push({ type: 'host', host, cidr }, { type: 'virtual', host, cidr });
  }
  return found;
}

/** Where an object of that name may be; none when nothing can be called so. */
export function ipamPaths(kind: IpamKind, name: string): readonly string[] {
  switch (kind) {
    case 'IPAMBlock': {
      const cidr = cidrOfName(name);
      return cidr === null ? [] : [`${BLOCKS}${familyPath(cidr)}`];
    }
    case 'IPAMHandle':
      return [`${HANDLES}${name}`];
    case 'IPAMHost':
      return [`${OWNERS.host}${name}`];
    case 'IPAMConfiguration':
      return name === 'default' ? [CONFIG_PATH] : [];
    case 'BlockAffinity':
      return affinitiesNamed(name).map(affinityPath);
    default:
      return kind satisfies never;
  }
}

export interface IpamListOptions {
  /** BlockAffinity: only those of this host. */
  readonly node?: string | undefined;
}

/** Prefixes whose keys together are all objects of the kind, and perhaps some of others. */
export function ipamListPrefixes(
  kind: IpamKind,
  { node }: IpamListOptions = {},
): readonly string[] {
  switch (kind) {
    case 'IPAMBlock':
      return [BLOCKS];
    case 'IPAMHandle':
      return [HANDLES];
    case 'IPAMHost':
      return [OWNERS.host];
    case 'IPAMConfiguration':
      return [CONFIG_PATH];
    case 'BlockAffinity':
      return Object.values(OWNERS).map((owners) =>
        node === undefined ? owners : `${owners}${node}/`,
      );
    default:
      return kind satisfies never;
  }
}

/** What an agent follows of it: who owns which block, and the configuration. Not each single address. */
export const IPAM_FOLLOWED_PREFIXES: readonly string[] = [...Object.values(OWNERS), CONFIG_PATH];

const CIDR_SEGMENT = /^(ipv[46])\/block\/([0-9a-f.:]+)-(\d{1,3})$/;

function cidrOfFamilyPath(path: string): string | null {
  const match = CIDR_SEGMENT.exec(path);
  if (match === null) return null;
  const cidr = `${match[2]}/${match[3]}`;
  return parseCidr(cidr)?.toString() === cidr && familyPath(cidr).startsWith(`${match[1]}/`)
    ? cidr
    : null;
}

/** Whose affinity a path holds; null for all other paths. */
export function affinityOfPath(path: string): AffinityIdentity | null {
  for (const type of ['host', 'virtual'] as const) {
    if (!path.startsWith(OWNERS[type])) continue;
    const rest = path.slice(OWNERS[type].length);
    const slash = rest.indexOf('/');
    const cidr = slash > 0 ? cidrOfFamilyPath(rest.slice(slash + 1)) : null;
    if (cidr !== null) return { type, host: rest.slice(0, slash), cidr };
  }
  return null;
}

/** The CIDR of the block that a path holds; null for all other paths. */
export function blockOfPath(path: string): string | null {
  return path.startsWith(BLOCKS) ? cidrOfFamilyPath(path.slice(BLOCKS.length)) : null;
}

/** The inverse of ipamPaths; null for whatever is not the path of one of these objects. */
export function ipamPathToKey(path: string): ResourceKey | null {
  if (!path.startsWith(PREFIX)) return null;
  if (path === CONFIG_PATH) return { kind: 'IPAMConfiguration', name: 'default' };
  const block = blockOfPath(path);
  if (block !== null) return { kind: 'IPAMBlock', name: cidrName(block) };
  const affinity = affinityOfPath(path);
  if (affinity !== null) return { kind: 'BlockAffinity', name: affinityName(affinity) };
  const single = (kind: IpamKind, prefix: string): ResourceKey | null => {
    const name = path.startsWith(prefix) ? path.slice(prefix.length) : '';
    return name === '' || name.includes('/') ? null : { kind, name };
  };
  return single('IPAMHandle', HANDLES) ?? single('IPAMHost', OWNERS.host);
}
