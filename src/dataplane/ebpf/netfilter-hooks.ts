/**
 * Programs in the stack's own hooks, in links that are pinned and so outlive this process. Such a link cannot be given
 * another program: the next one is attached beside it first, so that for a moment packets need the consent of both.
 */
import { errorCode, errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { type BpfLink, type BpfProgram, native } from '../../kernel/addon.js';
import type { Pins } from './pins.js';

const NFPROTO_IPV4 = 2;
const NFPROTO_IPV6 = 10;
/** By NFPROTO_* and NF_INET_*. */
const HOOKS = {
  'local-in': { family: NFPROTO_IPV4, hook: 1 },
  forward: { family: NFPROTO_IPV4, hook: 2 },
  'post-routing': { family: NFPROTO_IPV4, hook: 4 },
  'local-in6': { family: NFPROTO_IPV6, hook: 1 },
  forward6: { family: NFPROTO_IPV6, hook: 2 },
  'post-routing6': { family: NFPROTO_IPV6, hook: 4 },
} as const;
export type HookName = keyof typeof HOOKS;
const NAMES = Object.keys(HOOKS) as readonly HookName[];

/** After translation of destinations (-100), before the host's own filter rules (0) and translation of sources (100). */
const PRIORITIES = [-19, -18, -17, -16] as const;

/** Those of IPv6 only where it is on. */
export type HookPrograms = Readonly<Partial<Record<HookName, BpfProgram>>>;

interface Held {
  readonly link: BpfLink;
  readonly path: string;
}

export class NetfilterHooks implements Disposable {
  readonly #pins: Pins;
  readonly #log: Log;
  readonly #held = new Map<HookName, Held[]>();

  private constructor(pins: Pins, log: Log) {
    this.#pins = pins;
    this.#log = log;
  }

  /** Takes over the links that an earlier agent left. */
  static adopt(pins: Pins, log: Log): NetfilterHooks {
    const hooks = new NetfilterHooks(pins, log);
    for (const pinned of pins.hookNames()) {
      const name = NAMES.find((known) => pinned.startsWith(`${known}-`));
      if (name === undefined) continue;
      const path = pins.hook(pinned);
      hooks.#of(name).push({ link: native().BpfLink.openPinned(path), path });
    }
    return hooks;
  }

  get count(): number {
    return [...this.#held.values()].flat().length;
  }

  /** Makes every hook run its program and no other of ours; null: none. Failures, a line each. */
  async apply(programs: HookPrograms | null): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const name of NAMES) {
      try {
        await this.#applyOne(name, programs?.[name] ?? null);
      } catch (error) {
        failures.push(`program in hook ${name}: ${errorMessage(error)}`);
      }
    }
    return failures;
  }

  async #applyOne(name: HookName, program: BpfProgram | null): Promise<void> {
    const held = this.#of(name);
    const id = program?.info().id;
    const isCurrent = ({ link }: Held): boolean => link.info().programId === id;
    if (program !== null && !held.some(isCurrent)) held.push(await this.#attach(name, program));
    for (const one of held.filter((other) => !isCurrent(other))) {
      await this.#detach(one);
      held.splice(held.indexOf(one), 1);
    }
  }

  async #attach(name: HookName, program: BpfProgram): Promise<Held> {
    let busy: unknown;
    for (const priority of PRIORITIES) {
      try {
        const link = await attachAt(program, name, priority);
        const path = this.#pins.hook(`${name}-${-priority}`);
        try {
          link.pin(path);
        } catch (error) {
          link.close();
          throw error;
        }
        this.#log.debug({ hook: name, priority }, 'program attached');
        return { link, path };
      } catch (error) {
        if (errorCode(error) !== 'EBUSY') throw error;
        busy = error;
      }
    }
    throw busy;
  }

  async #detach({ link, path }: Held): Promise<void> {
    await link.detach().catch((error: unknown) => {
      this.#log.warn({ link: path, error: errorMessage(error) }, 'program not detached');
    });
    link.close();
    this.#pins.unpin(path);
  }

  async removeAll(): Promise<number> {
    const { count } = this;
    await this.apply(null);
    return count;
  }

  #of(name: HookName): Held[] {
    const held = this.#held.get(name) ?? [];
    this.#held.set(name, held);
    return held;
  }

  /** Forgets the links; they stay pinned and attached. */
  [Symbol.dispose](): void {
    for (const { link } of [...this.#held.values()].flat()) link.close();
    this.#held.clear();
  }
}

/** With whole datagrams, for which the kernel must know how to ask (Linux 6.6): before that, fragments are dropped. */
async function attachAt(program: BpfProgram, name: HookName, priority: number): Promise<BpfLink> {
  const { family, hook } = HOOKS[name];
  try {
    return await program.attachNetfilter({ family, hook, priority, reassemble: true });
  } catch (error) {
    if (errorCode(error) !== 'EINVAL' && errorCode(error) !== 'EOPNOTSUPP') throw error;
    return await program.attachNetfilter({ family, hook, priority, reassemble: false });
  }
}
