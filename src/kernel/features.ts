/** What this kernel can do, probed once, each with what follows when it is missing. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { addon } from './addon.js';

export interface Feature {
  readonly name: string;
  readonly present: boolean;
  /** The eBPF dataplane cannot work without it. */
  readonly required: boolean;
  /** What users lose without it. */
  readonly consequence: string;
}

function kernelAtLeast(major: number, minor: number): boolean {
  const [have = 0, haveMinor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  return have > major || (have === major && haveMinor >= minor);
}

function hasCapabilities(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const bits = BigInt(`0x${effective ?? '0'}`);
  const [netAdmin, sysAdmin, bpf] = [12n, 21n, 39n];
  const has = (bit: bigint): boolean => ((bits >> bit) & 1n) === 1n;
  return has(netAdmin) && (has(sysAdmin) || has(bpf));
}

function addonLoads(): boolean {
  try {
    addon();
    return true;
  } catch {
    return false;
  }
}

let probed: readonly Feature[] | undefined;

export function probeFeatures(): readonly Feature[] {
  probed ??= [
    {
      name: 'native addon',
      present: addonLoads(),
      required: true,
      consequence: 'nothing can be programmed: run "npm run setup"',
    },
    {
      name: 'CAP_NET_ADMIN and CAP_BPF',
      present: hasCapabilities(),
      required: true,
      consequence: 'programs cannot be loaded: run the agent as root or with these capabilities',
    },
    {
      name: 'BTF',
      present: existsSync('/sys/kernel/btf/vmlinux'),
      required: false,
      consequence: 'programs that read kernel structures cannot be relocated',
    },
    {
      name: 'bpf_for_each_map_elem and ring buffer (Linux 5.13)',
      present: kernelAtLeast(5, 13),
      required: true,
      consequence: 'old connections could not be collected in the kernel',
    },
    {
      name: 'tcx links (Linux 6.6)',
      present: kernelAtLeast(6, 6),
      required: true,
      consequence: 'programs cannot be attached by links that survive the agent',
    },
  ];
  return probed;
}
