/**
 * Which ranges live on which host by address management's account (spec/networking.md 7): blocks, addresses that
 * another host has borrowed from one, and the hosts' own ends of tunnels. Does not decide how packets get there.
 */
import { Cidr, hostCidr, parseCidr } from '../base/net/cidr.js';
import { addToIp, type Ip, type IpFamily, maskIp } from '../base/net/ip.js';
import type { DesiredRoute } from '../model/desired.js';

export interface Block {
  readonly cidr: Cidr;
  /** Of its affinity; undefined: nobody's. */
  readonly node: string | undefined;
  /** Node by address ('10.65.0.3/32'), where that is another than the block's. */
  readonly borrowed: ReadonlyMap<string, string>;
}

/** An end of a tunnel: an address of the host itself. */
interface TunnelEnd {
  readonly cidr: Cidr;
  readonly text: string;
}

export interface BlockResolverOptions {
  readonly hostname: string;
  readonly routeTo: (destination: Cidr, node: string) => DesiredRoute | undefined;
  readonly onRoute: (cidr: string, route: DesiredRoute | null) => void;
  readonly onLocalBlock: (cidr: string, isLocal: boolean) => void;
  /** covers() may answer something else for endpoints at this address, '10.65.0.2/32'. */
  readonly onCoverage: (net: string) => void;
}

export class BlockResolver {
  readonly #options: BlockResolverOptions;
  /** By CIDR. */
  readonly #blocks = new Map<string, Block>();
  /** How many blocks there are of each length, by family. */
  readonly #lengths: Readonly<Record<IpFamily, Map<number, number>>> = {
    4: new Map(),
    6: new Map(),
  };
  readonly #ends = new Map<string, readonly TunnelEnd[]>();

  constructor(options: BlockResolverOptions) {
    this.#options = options;
  }

  /** `cidr`: canonical text. */
  onBlock(cidr: string, block: Block | null): void {
    const { onRoute, onLocalBlock } = this.#options;
    const before = this.#blocks.get(cidr);
    for (const net of before?.borrowed.keys() ?? []) {
      if (block?.borrowed.has(net) !== true) onRoute(net, null);
    }
    if (block !== null) {
      this.#blocks.set(cidr, block);
      if (before === undefined) this.#count(block.cidr, 1);
      this.#say(cidr, block);
    } else if (before !== undefined) {
      this.#blocks.delete(cidr);
      this.#count(before.cidr, -1);
      onRoute(cidr, null);
      onLocalBlock(cidr, false);
    }
    const known = block ?? before;
    if (known !== undefined && before?.node !== block?.node) this.#reconsider(known.cidr);
  }

  /** Bare addresses of its ends of tunnels; none when it has gone. */
  onNode(name: string, addresses: readonly string[]): void {
    for (const { text } of this.#ends.get(name) ?? []) this.#options.onRoute(text, null);
    const ends = addresses.flatMap((address) => {
      const cidr = parseCidr(address);
      return cidr === null ? [] : [{ cidr, text: cidr.toString() }];
    });
    if (ends.length === 0) this.#ends.delete(name);
    else this.#ends.set(name, ends);
    this.#sayEnds(name, ends);
    for (const [cidr, block] of this.#blocks) {
      const concerns = block.node === name || [...block.borrowed.values()].includes(name);
      if (!concerns) continue;
      this.#say(cidr, block);
      this.#reconsider(block.cidr);
    }
  }

  /** How hosts are reached has changed: everything is looked at again. */
  resay(): void {
    for (const [cidr, block] of this.#blocks) this.#say(cidr, block);
    for (const [node, ends] of this.#ends) this.#sayEnds(node, ends);
  }

  /** An endpoint on this node is reached by the route of the block that its address is in. */
  covers(endpoint: Cidr, node: string): boolean {
    for (const length of this.#lengths[endpoint.family].keys()) {
      const cidr = new Cidr(maskIp(endpoint.address, length), length);
      const block = this.#blocks.get(cidr.toString());
      if (block === undefined) continue;
      if (block.node !== node || block.borrowed.has(endpoint.toString())) return false;
      return this.#options.routeTo(cidr, node) !== undefined;
    }
    return false;
  }

  sizes(): Readonly<Record<string, number>> {
    const lengths = this.#lengths[4].size + this.#lengths[6].size;
    return { blocks: this.#blocks.size, lengths, ends: this.#ends.size };
  }

  #say(text: string, { cidr, node, borrowed }: Block): void {
    const { hostname, onLocalBlock, onRoute } = this.#options;
    onLocalBlock(text, node === hostname && !cidr.isSingle);
    onRoute(text, this.#routeTo(cidr, node));
    for (const [net, borrower] of borrowed) {
      const address = parseCidr(net);
      if (address !== null) onRoute(net, this.#routeTo(address, borrower));
    }
  }

  #sayEnds(node: string, ends: readonly TunnelEnd[]): void {
    for (const { cidr, text } of ends) {
      const route = this.#routeTo(cidr, node);
      this.#options.onRoute(text, route === null ? null : { ...route, isHost: true });
    }
  }

  #routeTo(cidr: Cidr, node: string | undefined): DesiredRoute | null {
    const { hostname, routeTo } = this.#options;
    if (node === undefined || node === hostname) return null;
    return routeTo(cidr, node) ?? null;
  }

  #count({ family, prefixLength }: Cidr, change: 1 | -1): void {
    const counts = this.#lengths[family];
    const count = (counts.get(prefixLength) ?? 0) + change;
    if (count === 0) counts.delete(prefixLength);
    else counts.set(prefixLength, count);
  }

  /** A block has at most 4096 addresses, and its node changes a few times in its life. */
  #reconsider(cidr: Cidr): void {
    let ip: Ip | null = cidr.first();
    while (ip !== null && cidr.containsIp(ip)) {
      this.#options.onCoverage(hostCidr(ip).toString());
      ip = addToIp(ip, 1);
    }
  }
}
