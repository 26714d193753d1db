/** This host's place among the others: its Node, its end of tunnels, its routing daemon, as one thing to start and follow. */
import { parseCidr } from '../../base/net/cidr.js';
import type { ResourceUpdate } from '../../model/update.js';
import { BgpService } from './bgp-service.js';
import { type NodeOptions, NodeStartUp } from './node/start-up.js';
import { SECRETS_DIR, secretFiles } from './secret-files.js';

export interface NetworkingOptions extends Omit<NodeOptions, 'addresses'> {
  readonly dataplane: { hostAddresses(): ReturnType<NodeOptions['addresses']> };
  readonly runDir: string;
  readonly interfacePrefixes: readonly string[];
}

/** Ranges after commas; what is none is left out. */
const clusterIpsOf = (text: string): readonly string[] =>
  text.split(',').flatMap((word) => parseCidr(word.trim())?.toString() ?? []);

export class Networking {
  readonly #node: NodeStartUp;
  readonly #bgp: BgpService | undefined;

  constructor(options: NetworkingOptions) {
    const { hostname, log, runDir, interfacePrefixes, environment } = options;
    const addresses = () => options.dataplane.hostAddresses();
    this.#node = new NodeStartUp({ ...options, addresses });
    const routerId = environment['CALICO_ROUTER_ID'];
    if (this.#node.backend === 'bird') {
      const secret = secretFiles(environment['MARGAY_SECRETS_DIR'] || SECRETS_DIR);
      const bgp = {
        usesPodCidrs: environment['USE_POD_CIDR']?.toLowerCase() === 'true',
        clusterIps: clusterIpsOf(environment['CALICO_ADVERTISE_CLUSTER_IPS'] ?? ''),
      };
      const own = { hostname, log, runDir, interfacePrefixes, routerId, secret, bgp };
      this.#bgp = new BgpService(own);
    }
  }

  /** What has to be in the datastore before the snapshot is taken. */
  async start({ ipv6 }: { readonly ipv6: boolean }): Promise<void> {
    await this.#node.run({ ipv6 });
  }

  onResource(update: ResourceUpdate): void {
    this.#node.onObject(update.key);
    this.#bgp?.onObject(update);
  }

  /** The picture is complete. */
  onSynced(): void {
    this.#bgp?.onSynced();
  }

  /** A line each. */
  problems(): readonly string[] {
    return this.#bgp?.problems() ?? [];
  }

  /** Until aborted. */
  async follow({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await Promise.all([this.#node.follow({ signal }), this.#bgp?.run({ signal })]);
  }
}
