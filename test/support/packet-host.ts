/**
 * A host in a network namespace whose links all end in a second one, so that a test can put packets on any of them,
 * or send them as the host itself, and see which the host delivers or sends on. What is seen is written down by rules
 * of nf_tables behind everybody else's; nothing here listens or answers.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { formatIp, ipFromBytes } from '../../src/base/net/ip.js';
import { LOAD_TOOL } from '../lab/load-tool.js';

const run = (file: string, args: readonly string[], input?: string): string =>
  execFileSync(file, args, {
    encoding: 'utf8',
    input: input ?? '',
    stdio: ['pipe', 'pipe', 'pipe'],
  });

const HOST_MAC = 'ee:ee:ee:ee:ee:ee';
const NEIGHBOUR_MAC = '02:00:00:00:00:01';
const ETHERTYPES = { 4: '0800', 6: '86dd' } as const;

/**
 * Priority 300 comes after everything that iptables does. With the source, so that what the kernel says of itself, an
 * ICMP error that happens to carry the same number, is not taken for a packet of ours.
 */
const RECORDER = `
table inet mgyseen {
  set in4 { typeof ip id . ip saddr; flags dynamic; size 65535; }
  set in6 { typeof ip6 flowlabel . ip6 saddr; flags dynamic; size 65535; }
  set out4 { typeof ip id . ip saddr; flags dynamic; size 65535; }
  set out6 { typeof ip6 flowlabel . ip6 saddr; flags dynamic; size 65535; }
  chain input {
    type filter hook input priority 300; policy accept;
    meta nfproto ipv4 add @in4 { ip id . ip saddr }
    meta nfproto ipv6 add @in6 { ip6 flowlabel . ip6 saddr }
  }
  chain output {
    type filter hook postrouting priority 300; policy accept;
    meta nfproto ipv4 add @out4 { ip id . ip saddr }
    meta nfproto ipv6 add @out6 { ip6 flowlabel . ip6 saddr }
  }
}`;

export interface SentPacket {
  /** From the IP header on. */
  readonly bytes: Buffer;
  /** Its identification or flow label; known again by it and the source. */
  readonly mark: number;
  /** Interface that it comes in by; null: from a process of the host. */
  readonly from: string | null;
  /** Called right before it goes, and what that returns right after it has been through. */
  readonly around?: () => () => void;
  /** Seen where: delivered to a process, or sent out by an interface. */
  readonly to: 'process' | 'interface';
}

export class PacketHost implements AsyncDisposable {
  readonly host: string;
  readonly #far: string;
  readonly #links = new Set<string>();
  readonly #injectors = new Map<string, Injector>();

  /** `id` begins the names of both namespaces. */
  constructor(id: string) {
    this.host = `${id}-host`;
    this.#far = `${id}-far`;
    for (const netns of [this.host, this.#far]) {
      run('ip', ['netns', 'add', netns]);
      run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
    }
    for (const [name, value] of [
      ['ipv4.ip_forward', 1],
      ['ipv6.conf.all.forwarding', 1],
      ['ipv4.conf.all.rp_filter', 0],
      ['ipv4.conf.all.accept_local', 1],
      ['ipv4.conf.default.rp_filter', 0],
      ['ipv6.conf.default.accept_dad', 0],
      // SCTP's checksum is not computed here.
      ['netfilter.nf_conntrack_checksum', 0],
    ] as const) {
      this.inside('sysctl', '-qw', `net.${name}=${value}`);
    }
    this.nft(RECORDER);
  }

  get path(): string {
    return `/run/netns/${this.host}`;
  }

  /** A program in the host's namespace. */
  inside(program: string, ...args: readonly string[]): string {
    return run('nsenter', [`--net=${this.path}`, program, ...args]);
  }

  nft(script: string): void {
    run('nsenter', [`--net=${this.path}`, 'nft', '-f', '-'], script);
  }

  /** A link with addresses of the host's; a /24 or a /64 around each is on it. */
  addLink(name: string, addresses: readonly string[] = []): void {
    if (!this.#links.has(name)) {
      this.#links.add(name);
      run('ip', [
        'link',
        'add',
        name,
        'netns',
        this.host,
        'address',
        HOST_MAC,
        'type',
        'veth',
        'peer',
        'name',
        name,
        'netns',
        this.#far,
      ]);
      run('ip', ['-n', this.host, 'link', 'set', name, 'up']);
      run('ip', ['-n', this.#far, 'link', 'set', name, 'up']);
    }
    for (const address of addresses) {
      const length = address.includes(':') ? 64 : 24;
      run('ip', ['-n', this.host, 'address', 'replace', `${address}/${length}`, 'dev', name]);
    }
  }

  /** Everything that has no better route leaves by the link, through a neighbour that need not answer. */
  route(destination: string, gateway: string, link: string): void {
    run('ip', ['-n', this.host, 'neigh', 'replace', gateway, 'lladdr', NEIGHBOUR_MAC, 'dev', link]);
    run('ip', ['-n', this.host, 'route', 'replace', destination, 'via', gateway, 'dev', link]);
  }

  unroute(destination: string, link: string): void {
    run('ip', ['-n', this.host, 'route', 'del', destination, 'dev', link]);
  }

  /**
   * Sends them one after the other. For each: whether it came through. `apart`: connections of one are forgotten
   * before the next.
   */
  async send(
    packets: readonly SentPacket[],
    options: { readonly apart?: boolean } = {},
  ): Promise<readonly boolean[]> {
    for (const { bytes, from, around } of packets) {
      const undo = around?.();
      if (options.apart === true) await this.#injector(this.host).send('forget');
      const family = (bytes[0] ?? 0) >> 4 === 6 ? 6 : 4;
      if (from === null) await this.#injector(this.host).send(`ip ${bytes.toString('hex')}`);
      else {
        const header = `${HOST_MAC}${NEIGHBOUR_MAC}`.replaceAll(':', '') + ETHERTYPES[family];
        await this.#injector(this.#far).send(`link ${from} ${header}${bytes.toString('hex')}`);
      }
      undo?.();
    }
    const seen = { process: this.#seen('in'), interface: this.#seen('out') };
    for (const set of ['in4', 'in6', 'out4', 'out6']) this.nft(`flush set inet mgyseen ${set}`);
    return packets.map(({ bytes, mark, to }) => seen[to].has(`${mark} ${sourceOf(bytes)}`));
  }

  async forgetConnections(): Promise<void> {
    await this.#injector(this.host).send('forget');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const injector of this.#injectors.values()) injector[Symbol.dispose]();
    for (const netns of [this.host, this.#far]) run('ip', ['netns', 'del', netns]);
  }

  #seen(what: 'in' | 'out'): ReadonlySet<string> {
    const marks = new Set<string>();
    for (const family of [4, 6]) {
      const text = this.inside('nft', '-j', 'list', 'set', 'inet', 'mgyseen', `${what}${family}`);
      const { nftables } = JSON.parse(text) as { nftables: { set?: { elem?: unknown[] } }[] };
      for (const { set } of nftables) {
        for (const element of set?.elem ?? []) marks.add(elementKey(element));
      }
    }
    return marks;
  }

  #injector(netns: string): Injector {
    const known = this.#injectors.get(netns);
    if (known !== undefined) return known;
    const made = new Injector(netns);
    this.#injectors.set(netns, made);
    return made;
  }
}

function sourceOf(bytes: Buffer): string {
  const is4 = (bytes[0] ?? 0) >> 4 === 4;
  const ip = ipFromBytes(is4 ? bytes.subarray(12, 16) : bytes.subarray(8, 24));
  return ip === null ? '' : formatIp(ip);
}

/** '7 10.0.0.1'. An element of a dynamic set is a concatenation, or one with what else is known of it. */
function elementKey(element: unknown): string {
  const { elem, concat } = element as { elem?: { val?: unknown }; concat?: readonly unknown[] };
  return elem === undefined ? (concat ?? []).join(' ') : elementKey(elem.val);
}

class Injector implements Disposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(netns: string) {
    this.#child = spawn('nsenter', [`--net=/run/netns/${netns}`, LOAD_TOOL, 'inject'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('the tool has no output');
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  async send(line: string): Promise<void> {
    this.#child.stdin?.write(`${line}\n`);
    const { value } = await this.#answers.next();
    // What a rule refuses to let out is refused to the sender, too.
    if (value !== 'sent' && value !== 'error Operation not permitted')
      throw new Error(`${line}: ${value}`);
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }
}
