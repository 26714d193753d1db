/**
 * BGP of this host: what calc says of sessions and routes becomes BIRD's configuration, and BIRD is kept running with
 * it. Nothing is said to peers before the picture is complete.
 */
import { join } from 'node:path';
import type { Log } from '../../base/log.js';
import { BgpCalculator, type BgpOptions } from '../../calc/bgp-calculator.js';
import type { SecretSource } from '../../calc/bgp-peers.js';
import { BirdDaemon } from '../../dataplane/routing/bird/daemon.js';
import { renderBird } from '../../dataplane/routing/bird/render.js';
import type { ResourceUpdate } from '../../model/update.js';

export interface BgpServiceOptions {
  readonly hostname: string;
  readonly runDir: string;
  readonly interfacePrefixes: readonly string[];
  /** CALICO_ROUTER_ID. */
  readonly routerId: string | undefined;
  readonly secret: SecretSource;
  readonly bgp?: BgpOptions;
  readonly log: Log;
}

/** Below the run directory; `margay node status` asks there, too. */
export const BIRD_DIR = 'bird';

export class BgpService {
  readonly #options: BgpServiceOptions;
  readonly #calculator: BgpCalculator;
  readonly #bird: BirdDaemon;
  #isDirty = true;
  #text: string | null = null;
  #problems: readonly string[] = [];
  /** What the text was made with. */
  #secrets = '';
  #start: () => void = () => undefined;
  readonly #synced = new Promise<void>((resolve) => {
    this.#start = resolve;
  });

  constructor(options: BgpServiceOptions) {
    this.#options = options;
    this.#calculator = new BgpCalculator(options.hostname, options.bgp);
    this.#bird = new BirdDaemon({
      dir: join(options.runDir, BIRD_DIR),
      log: options.log.child({ component: 'bgp' }),
      configuration: () => this.#configuration(),
    });
  }

  onObject(update: ResourceUpdate): void {
    if (this.#calculator.onResource(update)) this.#isDirty = true;
  }

  /** The picture is complete. */
  onSynced(): void {
    this.#start();
    if (this.#isDirty) this.#bird.request();
  }

  /** A line each. */
  problems(): readonly string[] {
    const { problem } = this.#bird;
    return [...this.#problems, ...(problem === null ? [] : [problem])];
  }

  /** Until aborted; ends BIRD then, whose neighbours keep its routes for as long as they promise to. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    await Promise.race([this.#synced, aborted]);
    if (signal.aborted) return;
    await this.#bird.run({ signal });
    this.#bird.end();
  }

  #configuration(): string | null {
    const { hostname: nodeName, routerId, interfacePrefixes, secret } = this.#options;
    // Nobody reports a change of these: they are looked at whenever BIRD is.
    const secrets = JSON.stringify(this.#calculator.secrets().map(secret));
    if (!this.#isDirty && secrets === this.#secrets) return this.#text;
    this.#isDirty = false;
    this.#secrets = secrets;
    const picture = this.#calculator.picture(secret);
    this.#problems = picture?.problems ?? ['BGP: this host has no address'];
    this.#text = picture && renderBird(picture, { nodeName, routerId, interfacePrefixes });
    if (picture && this.#text === null) {
      this.#problems = [...this.#problems, 'BGP: no router id: set CALICO_ROUTER_ID'];
    }
    return this.#text;
  }
}
