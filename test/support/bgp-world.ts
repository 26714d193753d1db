/** Clusters told as objects, and what a host of theirs says to BIRD. Each text is read by a real one. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BgpCalculator, type BgpOptions } from '../../src/calc/bgp-calculator.js';
import type { SecretSource } from '../../src/calc/bgp-peers.js';
import { renderBird } from '../../src/dataplane/routing/bird/render.js';
import type { DesiredBgp } from '../../src/model/bgp.js';
import { cidrName } from '../../src/model/ipam-paths.js';
import type { Resource } from '../../src/model/update.js';

/** Throws what BIRD says is wrong with it. */
export function checkByBird(text: string): void {
  const dir = mkdtempSync(join(tmpdir(), 'margay-bird-'));
  try {
    const path = join(dir, 'bird.conf');
    writeFileSync(path, text);
    execFileSync('bird', ['-p', '-c', path], { stdio: 'pipe' });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export type Named = readonly [
  kind: string,
  name: string,
  spec: object,
  labels?: Record<string, string>,
  status?: object,
];

/** What host `host` makes of these objects. */
export function pictureOf(
  host: string,
  objects: readonly Named[],
  { secret, ...options }: Omit<RenderWith, 'routerId'> = {},
): DesiredBgp {
  const calculator = new BgpCalculator(host, options);
  for (const [kind, name, spec, labels = {}, status] of objects) {
    const value: Resource = {
      apiVersion: 'projectcalico.org/v3',
      kind,
      metadata: { name, labels },
      spec,
      ...(status === undefined ? {} : { status }),
    };
    calculator.onResource({ key: { kind, name }, value, revision: '1' });
  }
  const picture = calculator.picture(secret);
  if (picture === null) throw new Error(`${host} speaks no BGP`);
  return picture;
}

export interface RenderWith extends BgpOptions {
  readonly routerId?: string;
  readonly secret?: SecretSource;
}

export function render(
  host: string,
  objects: readonly Named[],
  { routerId, ...more }: RenderWith = {},
) {
  const options = { nodeName: host, routerId, interfacePrefixes: ['cali', 'tap'] };
  const text = renderBird(pictureOf(host, objects, more), options);
  if (text === null) throw new Error('no configuration');
  checkByBird(text);
  return text;
}

export const node = (name: string, last: number, bgp: object = {}, labels = {}): Named => [
  'Node',
  name,
  { bgp: { ipv4Address: `172.17.0.${last}/24`, ipv6Address: `fd00::${last}/64`, ...bgp } },
  labels,
];
export const block = (cidr: string, host: string): Named => [
  'IPAMBlock',
  cidrName(cidr),
  { cidr, affinity: `host:${host}`, allocations: [], unallocated: [], attributes: [] },
];
export const pool = (name: string, cidr: string, spec: object = {}): Named => [
  'IPPool',
  name,
  { cidr, ...spec },
];
export const configuration = (spec: object, name = 'default'): Named => [
  'BGPConfiguration',
  name,
  spec,
];
export const peer = (name: string, spec: object): Named => ['BGPPeer', name, spec];

const NODES = [node('m1', 5), node('n1', 7), node('n2', 9)];
export const CLUSTER: readonly Named[] = [
  ...NODES,
  pool('p4', '192.168.0.0/16'),
  pool('p6', 'fd01::/48'),
  block('192.168.1.0/26', 'n1'),
  block('192.168.2.0/26', 'n2'),
  block('fd01::40/122', 'n1'),
];
export const sessions = (text: string): readonly string[] =>
  [...text.matchAll(/^protocol bgp (\S+)/gm)].map(([, name = '']) => name);
/** The lines of one session. */
export const session = (text: string, name: string): string =>
  new RegExp(`protocol bgp ${name} from common \\{\n([\\s\\S]*?)\n\\}`).exec(text)?.[1] ?? '';
