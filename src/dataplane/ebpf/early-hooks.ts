/** Which interfaces run the program that sees packets before the stack, in pinned XDP links that outlive this process. */
import { errorCode, errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { type BpfLink, type BpfProgram, native } from '../../kernel/addon.js';
import type { Pins } from './pins.js';

const PREFIX = 'xdp-';

export class EarlyHooks implements Disposable {
  readonly #pins: Pins;
  readonly #log: Log;
  readonly #links = new Map<number, BpfLink>();

  private constructor(pins: Pins, log: Log) {
    this.#pins = pins;
    this.#log = log;
  }

  /** Takes over the links that an earlier agent left; those of interfaces that are gone are dropped. */
  static adopt(pins: Pins, log: Log): EarlyHooks {
    const hooks = new EarlyHooks(pins, log);
    for (const name of pins.hookNames().filter((pinned) => pinned.startsWith(PREFIX))) {
      hooks.#links.set(
        Number(name.slice(PREFIX.length)),
        native().BpfLink.openPinned(pins.hook(name)),
      );
    }
    hooks.#dropDead();
    return hooks;
  }

  /** Makes these interfaces run the program, and no others of ours. Failures, a line each. */
  async apply(program: BpfProgram, wanted: ReadonlySet<number>): Promise<readonly string[]> {
    this.#dropDead();
    const failures: string[] = [];
    for (const ifindex of wanted) {
      try {
        await this.#applyOne(program, ifindex);
      } catch (error) {
        failures.push(`XDP program on interface ${ifindex}: ${errorMessage(error)}`);
      }
    }
    for (const ifindex of [...this.#links.keys()]) {
      if (!wanted.has(ifindex)) await this.#remove(ifindex);
    }
    return failures;
  }

  async #applyOne(program: BpfProgram, ifindex: number): Promise<void> {
    const link = this.#links.get(ifindex);
    if (link !== undefined) {
      if (link.info().programId !== program.info().id) link.update(program);
      return;
    }
    const attached = await program.attachXdp(ifindex);
    try {
      attached.pin(this.#pathOf(ifindex));
    } catch (error) {
      attached.close();
      throw error;
    }
    this.#links.set(ifindex, attached);
  }

  /** An interface that is gone took its program with it; its number may come back. */
  #dropDead(): void {
    for (const [ifindex, link] of this.#links) {
      if (link.info().ifindex === ifindex) continue;
      link.close();
      this.#pins.unpin(this.#pathOf(ifindex));
      this.#links.delete(ifindex);
    }
  }

  async #remove(ifindex: number): Promise<void> {
    const link = this.#links.get(ifindex);
    this.#links.delete(ifindex);
    await link?.detach().catch((error: unknown) => {
      const code = errorCode(error);
      this.#log.warn({ ifindex, code, error: errorMessage(error) }, 'program not detached');
    });
    link?.close();
    this.#pins.unpin(this.#pathOf(ifindex));
  }

  async removeAll(): Promise<number> {
    const all = [...this.#links.keys()];
    for (const ifindex of all) await this.#remove(ifindex);
    return all.length;
  }

  #pathOf(ifindex: number): string {
    return this.#pins.hook(`${PREFIX}${ifindex}`);
  }

  /** Forgets the links; they stay pinned and attached. */
  [Symbol.dispose](): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }
}
