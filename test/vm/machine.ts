/**
 * A virtual machine without hardware help: a Debian kernel under qemu's software emulation, on this machine's own root
 * file system, shared read-only over 9p. Runs one shell command there and says how it ended. No timings: it is ten to
 * forty times slower than the host.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { initramfs } from './initramfs.js';
import { busybox, kernelImage } from './kernel-image.js';
import { modulesFor } from './kernel-modules.js';

/** To get at the host's files. */
const ROOT_MODULES = ['virtio_pci', '9pnet_virtio', '9p'];
/** Nothing in the guest loads modules by itself: what tests use is inserted first. */
const TEST_MODULES = [
  ...[
    'crc32c_generic',
    'veth',
    'bridge',
    'dummy',
    'sch_ingress',
    'cls_bpf',
    'nf_conntrack',
    'nf_tables',
    'ipip',
  ],
  ...['sctp', 'vxlan'],
  // What rules of iptables are made of, in both kinds of tables.
  ...['ip_tables', 'ip6_tables', 'nft_compat', 'nft_chain_nat', 'nf_reject_ipv4', 'nf_nat'],
  ...['filter', 'mangle', 'nat', 'raw'].flatMap((table) => [
    `iptable_${table}`,
    `ip6table_${table}`,
  ]),
  ...[
    'set',
    'mark',
    'conntrack',
    'multiport',
    'addrtype',
    'tcpudp',
    'comment',
    'limit',
    'CT',
    'LOG',
  ].map((name) => `xt_${name}`),
  ...['xt_MASQUERADE', 'nf_log_syslog', 'ip_set_bitmap_port'],
  ...['ip_set_hash_net', 'ip_set_hash_netport', 'ip_set_hash_netiface'],
];
const MARK = 'margay-vm-exit:';

export interface RunOptions {
  /** '6.1', '6.12'. */
  readonly kernel: string;
  /** Run by the host's /bin/sh, as root, in a root that is the host's; /tmp and /run are empty and writable. */
  readonly command: string;
  readonly onLine: (line: string) => void;
  readonly timeoutMs: number;
}

export interface RunResult {
  readonly release: string;
  /** Of the command; null: the machine ended without saying. */
  readonly status: number | null;
  readonly seconds: number;
}

function initScript(modules: readonly string[]): string {
  return `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
${modules.map((name) => `/bin/busybox insmod /modules/${name}.ko`).join('\n')}
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro root /root || exec /bin/busybox poweroff -f
for folder in tmp run var/lib; do /bin/busybox mount -t tmpfs tmpfs /root/$folder; done
/bin/busybox mount -t proc proc /root/proc
/bin/busybox mount -t sysfs sys /root/sys
/bin/busybox mount -t devtmpfs dev /root/dev
/bin/busybox mkdir -p /root/run/netns
/bin/busybox mount -t bpf bpf /root/sys/fs/bpf
/bin/busybox ifconfig lo 127.0.0.1 up
/bin/busybox chroot /root /bin/sh /tmp-command
/bin/busybox poweroff -f
`;
}

/** The command travels in the archive; the guest's /tmp is a file system of its own. */
function archive(
  kernel: string,
  command: string,
): { readonly release: string; readonly vmlinuz: string; readonly image: Buffer } {
  const { release, vmlinuz, modules: folder } = kernelImage(kernel);
  const modules = modulesFor(folder, [...ROOT_MODULES, ...TEST_MODULES]);
  const script = initScript(modules.map(({ name }) => name)).replace(
    '/bin/busybox chroot /root /bin/sh /tmp-command',
    `/bin/busybox cp /command /root/tmp/command
/bin/busybox chroot /root /bin/sh -c 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp exec /bin/sh /tmp/command'
/bin/busybox echo "${MARK} $?"`,
  );
  const image = initramfs([
    { path: 'bin' },
    { path: 'modules' },
    { path: 'bin/busybox', content: readFileSync(busybox()) },
    { path: 'init', content: Buffer.from(script) },
    { path: 'command', content: Buffer.from(`${command}\n`) },
    ...modules.map(({ name, image: content }) => ({ path: `modules/${name}.ko`, content })),
  ]);
  return { release, vmlinuz, image };
}

export async function runInMachine(options: RunOptions): Promise<RunResult> {
  const { kernel, command, onLine, timeoutMs } = options;
  const { release, vmlinuz, image } = archive(kernel, command);
  const dir = mkdtempSync(join(tmpdir(), 'margay-vm-'));
  const started = Date.now();
  try {
    const initrd = join(dir, 'initramfs');
    writeFileSync(initrd, image);
    const status = await boot({ vmlinuz, initrd, onLine, timeoutMs });
    return { release, status, seconds: (Date.now() - started) / 1000 };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

interface BootOptions extends Pick<RunOptions, 'onLine' | 'timeoutMs'> {
  readonly vmlinuz: string;
  readonly initrd: string;
}

function boot({ vmlinuz, initrd, onLine, timeoutMs }: BootOptions): Promise<number | null> {
  const args = [
    ...['-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048'],
    ...['-nographic', '-no-reboot', '-nic', 'none', '-kernel', vmlinuz, '-initrd', initrd],
    ...['-append', 'console=ttyS0 quiet panic=-1 rdinit=/init'],
    ...['-fsdev', 'local,id=r,path=/,security_model=none,readonly=on,multidevs=remap'],
    ...['-device', 'virtio-9p-pci,fsdev=r,mount_tag=root'],
  ];
  return new Promise((resolve, reject) => {
    const machine = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const timer = setTimeout(() => machine.kill('SIGKILL'), timeoutMs);
    let status: number | null = null;
    createInterface({ input: machine.stdout }).on('line', (line) => {
      const end = line.indexOf(MARK);
      if (end < 0) onLine(line.replace(/\r$/, ''));
      else status = Number(line.slice(end + MARK.length));
    });
    machine.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    machine.once('close', () => {
      clearTimeout(timer);
      resolve(status);
    });
  });
}
