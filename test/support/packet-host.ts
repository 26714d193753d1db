/**
 * A host in a network namespace whose links all end in a second one, so that a test can put packets on any of them,
 * or send them as the host itself, and see which the host delivers, and which come out of which link. What is seen is
 * written down by rules of nf_tables: behind everybody else's in the host, and at the far ends of the links, where it
 * does not matter whether the host's stack or a redirect sent the packet. Nothing here listens or answers.
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
 * Priority 300 comes after everything that a dataplane does. With the source, so that what the kernel says of itself,
 * an ICMP error that happens to carry the same number, is not taken for a packet of ours.
 */
const DELIVERED = `
table inet mgyseen {
  set in4 { typeof ip id . ip saddr; flags dynamic; size 65535; }
  set in6 { typeof ip6 flowlabel . ip6 saddr; flags dynamic; size 65535; }
  chain input {
    type filter hook input priority 300; policy accept;
    meta nfproto ipv4 add @in4 { ip id . ip saddr }
    meta nfproto ipv6 add @in6 { ip6 flowlabel . ip6 saddr }
  }
}`;

/** The transport header of IP-in-IP is the inner packet's: its identification and its source. */
const SENT = `
table netdev mgyseen {
  set out4 { typeof ip id . ip saddr . meta iifname; flags dynamic; size 65535; }
  set out6 { typeof ip6 flowlabel . ip6 saddr . meta iifname; flags dynamic; size 65535; }
  set outtunnel { typeof @th,32,16 . @th,96,32 . meta iifname; flags dynamic; size 65535; }
}`;

const sentBy = (link: string): string => `
table netdev mgyseen {
  chain ${link} {
    type filter hook ingress device ${link} priority 0; policy accept;
    meta protocol ip add @out4 { ip id . ip saddr . meta iifname }
    meta protocol ip6 add @out6 { ip6 flowlabel . ip6 saddr . meta iifname }
    ip protocol 4 add @outtunnel { @th,32,16 . @th,96,32 . meta iifname }
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
  /** Where it should be seen: coming out of this interface, or, null, delivered to a process of the host. */
  readonly to: string | null;
}

export class PacketHost implements AsyncDisposable {
  readonly host: string;
  readonly #far: string;
  readonly #links = new Set<string>();
  readonly #injectors = new Map<string, Injector>();

  readonly #forget: () => Promise<void>;

  /** `id` begins the names of both namespaces. `forget`: what a dataplane of its own memory does beside the kernel. */
  constructor(id: string, forget: () => Promise<void> = async () => undefined) {
    this.#forget = forget;
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
    this.nft(DELIVERED);
    this.#farNft(SENT);
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

  #farNft(script: string): void {
    run('nsenter', [`--net=/run/netns/${this.#far}`, 'nft', '-f', '-'], script);
  }

  /** A link with addresses of the host's; a /24 or a /64 around each is on it. Nobody is asked for a MAC on it. */
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
      this.#farNft(sentBy(name));
      for (const netns of [this.host, this.#far])
        run('ip', ['-n', netns, 'link', 'set', name, 'arp', 'off', 'up']);
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
      if (options.apart === true) await this.forgetConnections();
      const family = (bytes[0] ?? 0) >> 4 === 6 ? 6 : 4;
      if (from === null) await this.#injector(this.host).send(`ip ${bytes.toString('hex')}`);
      else {
        const header = `${HOST_MAC}${NEIGHBOUR_MAC}`.replaceAll(':', '') + ETHERTYPES[family];
        await this.#injector(this.#far).send(`link ${from} ${header}${bytes.toString('hex')}`);
      }
      undo?.();
    }
    const delivered = seenIn(this.host, 'inet', ['in4', 'in6']);
    const sent = seenIn(this.#far, 'netdev', ['out4', 'out6', 'outtunnel']);
    return packets.map(({ bytes, mark, to }) => {
      const known = `${mark} ${sourceOf(bytes)}`;
      return to === null ? delivered.has(known) : sent.has(`${known} ${to}`);
    });
  }

  async forgetConnections(): Promise<void> {
    await this.#injector(this.host).send('forget');
    await this.#forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const injector of this.#injectors.values()) injector[Symbol.dispose]();
    for (const netns of [this.host, this.#far]) run('ip', ['netns', 'del', netns]);
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

/** What the sets hold, and they are empty then. */
function seenIn(netns: string, family: string, sets: readonly string[]): ReadonlySet<string> {
  const marks = new Set<string>();
  const nft = (...args: readonly string[]): string =>
    run('nsenter', [`--net=/run/netns/${netns}`, 'nft', ...args]);
  const { nftables } = JSON.parse(nft('-j', 'list', 'table', family, 'mgyseen')) as {
    readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[];
  };
  for (const { set } of nftables) for (const element of set?.elem ?? []) marks.add(keyOf(element));
  nft(sets.map((set) => `flush set ${family} mgyseen ${set}`).join('; '));
  return marks;
}

/** '7 10.0.0.1 eth0'. An element of a dynamic set is a concatenation, or one with what else is known of it. */
function keyOf(element: unknown): string {
  const { elem, concat } = element as { elem?: { val?: unknown }; concat?: readonly unknown[] };
  return elem === undefined ? (concat ?? []).map(fieldOf).join(' ') : keyOf(elem.val);
}

/** Bytes at an offset have no type that nft knows: an address among them is shown as a number. */
function fieldOf(field: unknown): string {
  if (typeof field !== 'number' || field < 65_536) return String(field);
  return [24, 16, 8, 0].map((shift) => (field >>> shift) & 255).join('.');
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
