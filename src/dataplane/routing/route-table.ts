/**
 * Keeps the main table's routes of one origin equal to what is wanted. A route is ours if it carries our protocol
 * number; all others stay as they are. Does not decide which routes are wanted.
 */
import { errorMessage } from '../../base/error.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import { type Route, type RouteInput, Rtnetlink } from '../../kernel/netlink/rtnetlink.js';

/**
 * RTPROT number of everything Margay routes. The default of Calico's DeviceRouteProtocol, 3 (boot), is what `ip route`
 * gives by hand, so it could not tell ours from others'; 80 is what Calico itself uses for its other routes.
 */
export const ROUTE_PROTOCOL = 80;

export type WantedRoute = Omit<RouteInput, 'protocol'>;

const sameRoute = (a: RouteInput, b: RouteInput): boolean =>
  a.ifindex === b.ifindex && a.gateway === b.gateway && a.protocol === b.protocol;

const isGone = (error: unknown): boolean => isNetlinkErrno(error, ERRNO.ESRCH, ERRNO.ENODEV);

export class RouteTable implements Disposable {
  readonly #rtnetlink = new Rtnetlink();
  readonly #wanted = new Map<string, RouteInput>();
  readonly #dirty = new Set<string>();
  /** What the kernel held of ours when it was last read; null: has to be read. */
  #actual: Map<string, RouteInput> | null = null;

  /** null: no route to this destination. */
  set(destination: string, route: Omit<WantedRoute, 'destination'> | null): void {
    const before = this.#wanted.get(destination);
    const after = route && { ...route, destination, protocol: ROUTE_PROTOCOL };
    if (before && after && sameRoute(before, after)) return;
    if (after) this.#wanted.set(destination, after);
    else if (!this.#wanted.delete(destination)) return;
    this.#dirty.add(destination);
  }

  queueResync(): void {
    this.#actual = null;
  }

  /** Interfaces take their routes with them when they go. */
  forgetInterface(ifindex: number): void {
    for (const [destination, route] of this.#actual ?? []) {
      if (route.ifindex !== ifindex) continue;
      this.#actual?.delete(destination);
      this.#dirty.add(destination);
    }
  }

  /**
   * @param sweep Also remove routes of ours that nobody wants: only once the picture is complete.
   * @returns One line per route that could not be made right.
   */
  async apply({ sweep }: { readonly sweep: boolean }): Promise<readonly string[]> {
    const actual = this.#actual ?? (await this.#read());
    this.#actual = actual;
    if (sweep) {
      for (const destination of actual.keys())
        if (!this.#wanted.has(destination)) this.#dirty.add(destination);
    }
    const failures: string[] = [];
    for (const destination of [...this.#dirty]) {
      try {
        await this.#applyOne(destination, actual);
        this.#dirty.delete(destination);
      } catch (error) {
        failures.push(errorMessage(error));
      }
    }
    return failures;
  }

  async #applyOne(destination: string, actual: Map<string, RouteInput>): Promise<void> {
    const wanted = this.#wanted.get(destination);
    const have = actual.get(destination);
    if (wanted) {
      if (have && sameRoute(wanted, have)) return;
      await this.#rtnetlink.replaceRoute(wanted);
      actual.set(destination, wanted);
    } else if (have) {
      await this.#rtnetlink.deleteRoute(have).catch((error: unknown) => {
        if (!isGone(error)) throw error;
      });
      actual.delete(destination);
    }
  }

  async #read(): Promise<Map<string, RouteInput>> {
    const routes: readonly Route[] = await this.#rtnetlink.routes();
    for (const destination of this.#wanted.keys()) this.#dirty.add(destination);
    return new Map(
      routes
        .filter((route) => route.protocol === ROUTE_PROTOCOL)
        .map((route) => [route.destination, route]),
    );
  }

  [Symbol.dispose](): void {
    this.#rtnetlink[Symbol.dispose]();
  }
}
