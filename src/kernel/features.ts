/** What this kernel and this machine can do. Probed once: nothing else may assume a feature. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { errorMessage } from '../base/error.js';
import { native } from './addon.js';

export interface Feature {
  readonly name: string;
  readonly present: boolean;
  /** The eBPF dataplane cannot run without it. */
  readonly required: boolean;
  /** What was found, or why it is missing. */
  readonly detail: string;
  /** What its absence means; one sentence. */
  readonly consequence: string;
}

interface Probe {
  readonly name: string;
  readonly required: boolean;
  readonly consequence: string;
  /** Returns what was found; throws or returns null when it is missing. */
  readonly find: () => string | null;
}

const BTF = '/sys/kernel/btf/vmlinux';
const BPFFS = '/sys/fs/bpf';
const PROGRAM_DIRS = [
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
  '/usr/local/sbin',
  '/usr/local/bin',
];

const PROBES: readonly Probe[] = [
  {
    name: 'addon',
    required: true,
    consequence: 'no kernel object can be made; run "npm run build:native"',
    find: () => `libbpf ${native().buildInfo().libbpf}`,
  },
  {
    name: 'root',
    required: true,
    consequence: 'programs cannot be loaded, nor interfaces and routes changed',
    find: () => (process.geteuid?.() === 0 ? 'uid 0' : null),
  },
  {
    name: 'btf',
    required: true,
    consequence: 'programs cannot be fitted to this kernel (CONFIG_DEBUG_INFO_BTF)',
    find: () => (existsSync(BTF) ? BTF : null),
  },
  {
    name: 'ringbuf',
    required: true,
    consequence: 'the eBPF programs need Linux 5.17 or newer',
    find: () => atLeast(5, 17),
  },
  {
    name: 'bpffs',
    required: true,
    consequence: 'nothing can be pinned, so enforcement would end with the agent',
    find: () =>
      native().isBpffs(BPFFS) ? `mounted at ${BPFFS}` : existsSync(BPFFS) ? 'can be mounted' : null,
  },
  {
    name: 'tcx',
    required: false,
    consequence:
      'programs are attached as clsact filters, which other tools can remove (Linux 6.6)',
    find: () => atLeast(6, 6),
  },
  {
    name: 'bpf-netfilter',
    required: false,
    consequence: 'policy of host endpoints is not enforced by the eBPF dataplane (Linux 6.4)',
    find: () => atLeast(6, 4),
  },
  {
    name: 'bpf-conntrack',
    required: false,
    consequence:
      'preDNAT policy judges packets of translated connections anew (module nf_conntrack)',
    find: () => {
      if (existsSync('/sys/kernel/btf/nf_conntrack')) return 'module nf_conntrack';
      return readFileSync(BTF).includes('bpf_skb_ct_lookup') ? 'built in' : null;
    },
  },
  {
    name: 'bpf-decap',
    required: false,
    consequence: 'the eBPF programs cannot take packets out of IP-in-IP tunnels (Linux 6.3)',
    find: () => atLeast(6, 3),
  },
  {
    name: 'ipset',
    required: false,
    consequence: 'the iptables dataplane cannot run (program ipset)',
    find: () => findProgram('ipset'),
  },
  {
    name: 'iptables',
    required: false,
    consequence:
      'the iptables dataplane cannot run, nor can anything masquerade (program iptables)',
    find: () => findProgram('iptables'),
  },
];

let probed: readonly Feature[] | undefined;

/** Every feature, present or not. Later calls return the first one's answer. */
export function probeFeatures(): readonly Feature[] {
  probed ??= PROBES.map(probe);
  return probed;
}

export function hasFeature(name: string): boolean {
  return probeFeatures().some((feature) => feature.name === name && feature.present);
}

/** Optional features that this dataplane would use and does not find: a line each, with what that means. */
export function missingForEbpf(): readonly string[] {
  return probeFeatures()
    .filter(({ name, present }) => !present && EBPF_OPTIONAL.has(name))
    .map(({ name, consequence }) => `${name}: ${consequence}`);
}

const EBPF_OPTIONAL: ReadonlySet<string> = new Set(['tcx', 'bpf-netfilter', 'bpf-decap']);

function probe({ name, required, consequence, find }: Probe): Feature {
  try {
    const found = find();
    return { name, required, consequence, present: found !== null, detail: found ?? 'missing' };
  } catch (error) {
    return { name, required, consequence, present: false, detail: errorMessage(error) };
  }
}

/** Versions only where the kernel has no cheaper tell; attaching still tries and falls back. */
function atLeast(major: number, minor: number): string | null {
  const [have = 0, haveMinor = 0] = release().split(/[.-]/).map(Number);
  const enough = have > major || (have === major && haveMinor >= minor);
  return enough ? `Linux ${release()}` : null;
}

/** Where the program is; null: not installed. */
export function findProgram(name: string): string | null {
  const candidates = PROGRAM_DIRS.map((dir) => join(dir, name));
  return candidates.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
