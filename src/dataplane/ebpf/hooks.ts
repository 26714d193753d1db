/**
 * Which program runs on which interface, in links that are pinned and so outlive this process. A program is replaced
 * in its link, never detached first: no packet passes unjudged.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { type BpfLink, type BpfProgram, native, type TcDirection } from '../../kernel/addon.js';
import type { Pins } from './pins.js';

export interface Hook {
  readonly ifindex: number;
  readonly direction: TcDirection;
  readonly program: BpfProgram;
}

const nameOf = (hook: Pick<Hook, 'ifindex' | 'direction'>): string =>
  `${hook.ifindex}-${hook.direction}`;

export class Hooks implements Disposable {
  readonly #pins: Pins;
  readonly #log: Log;
  readonly #links = new Map<string, BpfLink>();

  private constructor(pins: Pins, log: Log) {
    this.#pins = pins;
    this.#log = log;
  }

  /** Takes over the links that an earlier agent left; those of interfaces that are gone are dropped. */
  static adopt(pins: Pins, log: Log): Hooks {
    const hooks = new Hooks(pins, log);
    const { BpfLink: Link } = native();
    for (const name of pins.linkNames()) {
      const link = Link.openPinned(pins.link(name));
      if (name.startsWith(`${link.info().ifindex}-`)) {
        hooks.#links.set(name, link);
      } else {
        link.close();
        pins.unpin(pins.link(name));
      }
    }
    return hooks;
  }

  get count(): number {
    return this.#links.size;
  }

  /** Is there a link for every one of these hooks? */
  covers(hooks: readonly Pick<Hook, 'ifindex' | 'direction'>[]): boolean {
    return hooks.every((hook) => this.#links.has(nameOf(hook)));
  }

  /**
   * Makes every hook run its program; with `sweep`, ends the others. The failures are a line each; a hook that failed
   * is tried again by the next call.
   */
  async apply(
    wanted: readonly Hook[],
    { sweep }: { readonly sweep: boolean },
  ): Promise<readonly string[]> {
    const failures: string[] = [];
    this.#dropDead();
    const isHeld = (hook: Hook): boolean => this.#links.has(nameOf(hook));
    // Replacing takes a microsecond, attaching many milliseconds: the former are not to wait for the latter.
    const held = wanted.filter(isHeld);
    for (const hook of [...held, ...wanted.filter((other) => !isHeld(other))]) {
      try {
        await this.#applyOne(hook);
      } catch (error) {
        const where = `interface ${hook.ifindex} ${hook.direction}`;
        failures.push(`program on ${where}: ${errorMessage(error)}`);
      }
    }
    if (sweep) {
      const keep = new Set(wanted.map(nameOf));
      for (const name of [...this.#links.keys()]) if (!keep.has(name)) await this.#remove(name);
    }
    return failures;
  }

  async #applyOne(hook: Hook): Promise<void> {
    const name = nameOf(hook);
    const link = this.#links.get(name);
    if (link) {
      if (link.info().programId !== hook.program.info().id) link.update(hook.program);
      return;
    }
    const attached = await hook.program.attachTcx(hook.ifindex, hook.direction);
    try {
      attached.pin(this.#pins.link(name));
    } catch (error) {
      attached.close();
      throw error;
    }
    this.#links.set(name, attached);
    this.#log.debug({ ifindex: hook.ifindex, direction: hook.direction }, 'program attached');
  }

  /** An interface that is gone took its programs with it; its number may come back. */
  #dropDead(): void {
    for (const [name, link] of this.#links) {
      if (link.info().ifindex !== 0) continue;
      link.close();
      this.#pins.unpin(this.#pins.link(name));
      this.#links.delete(name);
    }
  }

  async #remove(name: string): Promise<void> {
    const link = this.#links.get(name);
    this.#links.delete(name);
    await link?.detach().catch((error: unknown) => {
      this.#log.warn({ link: name, error: errorMessage(error) }, 'program not detached');
    });
    link?.close();
    this.#pins.unpin(this.#pins.link(name));
  }

  async removeAll(): Promise<number> {
    const names = [...this.#links.keys()];
    for (const name of names) await this.#remove(name);
    return names.length;
  }

  /** Forgets the links; they stay pinned and attached. */
  [Symbol.dispose](): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }
}
