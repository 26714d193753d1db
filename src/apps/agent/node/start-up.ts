/**
 * What happens before an agent takes the snapshot (spec/node.md 3): the host's Node, the default pools, what the
 * cluster says of itself. Every step may be repeated, and any number of hosts may start at once.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Doorbell } from '../../../base/doorbell.js';
import { CodedError, errorMessage } from '../../../base/error.js';
import type { Log } from '../../../base/log.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { isDatastoreError } from '../../../datastore/datastore-error.js';
import type { ResourceKey } from '../../../model/update.js';
import type { InterfaceAddress } from './address-detection.js';
import { ensureClusterInformation } from './cluster-information.js';
import { createDefaultPools } from './default-pools.js';
import type { AddressSettings, NodeAddresses } from './node-addresses.js';
import { registerNode } from './registration.js';
import { TunnelAddress } from './tunnel-address.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Also without a change that was heard of: address management may have been repaired meanwhile. */
const TUNNEL_CHECK_MS = 60_000;

/** Who routes between hosts. 'direct', the default: the agent itself, on link and by tunnel. */
export type NetworkingBackend = 'direct' | 'bird' | 'vxlan' | 'none';

export interface NodeOptions {
  readonly store: Datastore;
  readonly log: Log;
  readonly hostname: string;
  readonly version: string;
  readonly environment: Environment;
  readonly addresses: () => readonly InterfaceAddress[];
  readonly signal: AbortSignal;
}

/** @throws CodedError ERR_NODE_BACKEND */
export function networkingBackend(environment: Environment): NetworkingBackend {
  const old = environment['CALICO_NETWORKING'];
  const text = old ? (old === 'false' ? 'none' : 'bird') : environment['CALICO_NETWORKING_BACKEND'];
  if (!text) return 'direct';
  if (text === 'direct' || text === 'bird' || text === 'vxlan' || text === 'none') return text;
  throw new CodedError(
    'ERR_NODE_BACKEND',
    `CALICO_NETWORKING_BACKEND: "${text}" is not one of direct, bird, vxlan, none`,
  );
}

export class NodeStartUp {
  readonly #options: NodeOptions;
  readonly #tunnel: TunnelAddress;
  readonly #tunnelBell = new Doorbell();
  readonly #settings: AddressSettings;
  readonly backend: NetworkingBackend;

  constructor(options: NodeOptions) {
    const { environment } = options;
    this.#options = options;
    const { store, hostname, log } = options;
    this.#tunnel = new TunnelAddress({ store, hostname, log });
    this.backend = networkingBackend(environment);
    this.#settings = {
      4: {
        address: (environment['IP'] ?? '').trim(),
        method: environment['IP_AUTODETECTION_METHOD'] || 'first-found',
      },
      6: {
        address: (environment['IP6'] ?? '').trim(),
        method: environment['IP6_AUTODETECTION_METHOD'] || 'first-found',
      },
    };
  }

  async run({ ipv6 }: { readonly ipv6: boolean }): Promise<NodeAddresses> {
    const { store, log, environment, addresses, version, hostname } = this.#options;
    if (environment['WAIT_FOR_DATASTORE'] === 'true') await this.#untilReachable();
    const own = await this.#register();
    await createDefaultPools({ store, log, environment, addresses: addresses(), ipv6 });
    const clusterType = environment['CLUSTER_TYPE'] ?? '';
    await ensureClusterInformation({ store, version, clusterType });
    await this.#reconcileTunnel();
    this.#writeNodeName(hostname);
    return own;
  }

  /** An object of the datastore changed: what it decides about this host is looked at by follow(). */
  onObject({ kind, name }: ResourceKey): void {
    if (kind === 'IPPool' || (kind === 'Node' && name === this.#options.hostname)) {
      this.#tunnelBell.ring();
    }
  }

  /** Keeps the Node right until aborted: its address where it is to be detected, its end of the tunnel. */
  async follow({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await Promise.all([this.#followAddress(signal), this.#followTunnel(signal)]);
  }

  async #followTunnel(signal: AbortSignal): Promise<void> {
    while (await this.#tunnelBell.wait({ signal, timeoutMs: TUNNEL_CHECK_MS })) {
      await this.#reconcileTunnel();
    }
  }

  /** A host without an end of the tunnel serves its workloads all the same. */
  async #reconcileTunnel(): Promise<void> {
    if (this.backend === 'none') return;
    await this.#tunnel.reconcile().catch((error: unknown) => {
      this.#options.log.warn({ error: errorMessage(error) }, 'tunnel address not brought in order');
    });
  }

  /** Looks for the address again every AUTODETECT_POLL_INTERVAL, where it is to be detected. */
  async #followAddress(signal: AbortSignal): Promise<void> {
    const detects = [this.#settings[4], this.#settings[6]].some(
      ({ address }) => address === 'autodetect',
    );
    const intervalMs = pollIntervalMs(this.#options.environment);
    if (!detects || intervalMs === 0 || this.backend === 'none') return;
    while (!signal.aborted) {
      await wait(intervalMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      await this.#register().catch((error: unknown) => {
        this.#options.log.warn(
          { error: errorMessage(error) },
          "the node's address stays as it was",
        );
      });
    }
  }

  #register(): Promise<NodeAddresses> {
    const { store, log, hostname, environment, addresses } = this.#options;
    return registerNode({
      ...{ store, log, hostname, addresses: addresses() },
      settings: this.backend === 'none' ? null : this.#settings,
      addressRequired: this.backend === 'bird' || this.backend === 'vxlan',
      checkDuplicates: environment['DISABLE_NODE_IP_CHECK'] !== 'true',
      asNumber: this.backend === 'none' ? undefined : environment['AS'],
      kubernetesNode: environment['CALICO_K8S_NODE_REF'] || undefined,
    });
  }

  async #untilReachable(): Promise<void> {
    const { store, hostname, log, signal } = this.#options;
    for (;;) {
      try {
        await store.get({ kind: 'Node', name: hostname });
        return;
      } catch (error) {
        if (isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND')) return;
        if (!isDatastoreError(error, 'ERR_DATASTORE_UNAVAILABLE')) throw error;
        log.warn({ error: errorMessage(error) }, 'waiting for the datastore');
      }
      await wait(1000, undefined, { signal });
    }
  }

  /** Other programs on this host learn the name from here; when it changed last is when this host started. */
  #writeNodeName(hostname: string): void {
    const path = this.#options.environment['CALICO_NODENAME_FILE'];
    if (!path) return;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, hostname, { mode: 0o644 });
  }
}

/** '60s', '90', '0'. */
function pollIntervalMs(environment: Environment): number {
  const text = environment['AUTODETECT_POLL_INTERVAL'] || '60s';
  const match = /^(\d+)(s|m|)$/.exec(text);
  if (match === null) {
    throw new CodedError(
      'ERR_NODE_ADDRESS',
      `AUTODETECT_POLL_INTERVAL: "${text}" is not a number of seconds such as 60s`,
    );
  }
  return Number(match[1]) * (match[2] === 'm' ? 60_000 : 1000);
}
