/** Can this kernel run the dataplane, and is the host set up for it? Reads only. */
import { readdirSync, readFileSync } from 'node:fs';
import { probeFeatures } from '../../../kernel/features.js';
import { readSysctl } from '../../../kernel/sysctl.js';
import { type Finding, fine } from './finding.js';

export function features(): readonly Finding[] {
  return probeFeatures().map(({ name, present, required, detail, consequence }) =>
    present
      ? fine(name, detail)
      : { check: name, level: required ? 'FAIL' : 'WARN', found: detail, fix: consequence },
  );
}

export function forwarding(): Finding {
  const value = readSysctl(['net', 'ipv4', 'ip_forward']);
  if (value === '1') return fine('ip_forward', 'on');
  return {
    check: 'ip_forward',
    level: 'WARN',
    found: value ?? 'unknown',
    fix: 'the agent turns it on; by hand: sysctl -w net.ipv4.ip_forward=1',
  };
}

/** The programs check sources themselves; the host's own strict check would drop what takes another way back. */
export function reversePath(): Finding {
  const value = readSysctl(['net', 'ipv4', 'conf', 'all', 'rp_filter']);
  if (value !== '1') return fine('rp_filter', value === null ? 'unknown' : value);
  return {
    check: 'rp_filter',
    level: 'WARN',
    found: '1 (strict)',
    fix: 'packets that take another way back are dropped by the host: sysctl -w net.ipv4.conf.all.rp_filter=2',
  };
}

const TUNNEL_OVERHEAD: readonly (readonly [RegExp, number])[] = [
  [/^(tunl0|mgy.*ipip.*)$/, 20],
  [/^vxlan\.calico$/, 50],
  [/^wireguard\.cali$/, 60],
];
const NO_UPLINK =
  /^(lo|docker.*|cali.*|veth.*|tunl.*|vxlan.*|wireguard.*|wg-.*|mgy.*|dummy.*|virbr.*|br-.*|cni.*|kube-.*|ifb.*|sit.*|gre.*|erspan.*|ip6.*|ip_vti.*)$/;

export interface LinkMtu {
  readonly name: string;
  readonly mtu: number;
}

function linkMtus(): readonly LinkMtu[] {
  return readdirSync('/sys/class/net').flatMap((name) => {
    try {
      return { name, mtu: Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8')) };
    } catch {
      return [];
    }
  });
}

/** Tunnels must leave room for what they put around packets. Exported for its test. */
export function mtuFinding(links: readonly LinkMtu[]): Finding {
  const uplinks = links.filter(({ name }) => !NO_UPLINK.test(name));
  if (uplinks.length === 0) return fine('mtu', 'no uplink');
  const least = uplinks.reduce((a, b) => (b.mtu < a.mtu ? b : a));
  for (const { name, mtu } of links) {
    const overhead = TUNNEL_OVERHEAD.find(([pattern]) => pattern.test(name))?.[1];
    if (overhead === undefined || mtu <= least.mtu - overhead) continue;
    return {
      check: 'mtu',
      level: 'WARN',
      found: `${name} has ${mtu}, ${least.name} ${least.mtu}`,
      fix: `packets in the tunnel are fragmented or lost: ip link set ${name} mtu ${least.mtu - overhead}`,
    };
  }
  return fine('mtu', `${least.mtu} (${least.name})`);
}

export const mtu = (): Finding => mtuFinding(linkMtus());

const FILES_MIN = 65_536;

/** @param limits text of /proc/self/limits */
export function openFiles(limits: string): Finding {
  const [, soft = '', hard = ''] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const count = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  if (count >= FILES_MIN) return fine('open files', `${soft}, at most ${hard}`);
  return {
    check: 'open files',
    level: 'WARN',
    found: `${soft}, at most ${hard}`,
    fix: `big tables and many interfaces need more: LimitNOFILE=${FILES_MIN} in the unit, or ulimit -n ${FILES_MIN}`,
  };
}

export const limits = (): Finding => openFiles(readFileSync('/proc/self/limits', 'utf8'));
