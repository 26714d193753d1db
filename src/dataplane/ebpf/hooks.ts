/**
 * Which program runs on which interface, attached so that it outlives this process. A program is replaced in its
 * place, never detached first: no packet passes unjudged.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { BpfProgram } from '../../kernel/addon.js';
import { type Attachment, adopt, attach, type Place, placeName } from './attachment.js';
import type { Pins } from './pins.js';

export interface Hook extends Place {
  readonly program: BpfProgram;
}

export interface HooksOptions {
  readonly pins: Pins;
  readonly log: Log;
  /** How programs are attached from now on; what is attached otherwise is moved over. */
  readonly way: Attachment['way'];
  readonly isPresent: (ifindex: number) => boolean;
}

export class Hooks implements Disposable {
  readonly #options: HooksOptions;
  readonly #held = new Map<string, Attachment>();
  /** Filters that this process has put in place, or found there and replaced, since it last had reason to doubt. */
  readonly #sure = new Set<string>();

  private constructor(options: HooksOptions) {
    this.#options = options;
  }

  /** Takes over what an earlier agent left; what was on interfaces that are gone is dropped. */
  static adopt(options: HooksOptions): Hooks {
    const hooks = new Hooks(options);
    for (const pinned of options.pins.linkNames()) {
      const adopted = adopt(pinned, options.pins);
      if (adopted !== null) hooks.#held.set(adopted.name, adopted.attachment);
    }
    return hooks;
  }

  get count(): number {
    return this.#held.size;
  }

  /** Is there a program at every one of these places? */
  covers(places: readonly Place[]): boolean {
    return places.every((place) => this.#held.has(placeName(place)));
  }

  /** Somebody may have removed filters, or what is pinned: the next apply() puts it back. */
  doubt(): void {
    this.#sure.clear();
    for (const attachment of this.#held.values()) attachment.repin();
  }

  /** Somebody has detached a link by force from an interface that is still there. One system call a link. */
  anyDetached(): boolean {
    const { isPresent } = this.#options;
    return [...this.#held].some(
      ([name, attachment]) =>
        isPresent(Number.parseInt(name, 10)) && !attachment.isAlive(isPresent),
    );
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
    await this.#dropDead();
    const isHeld = (hook: Hook): boolean => this.#held.has(placeName(hook));
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
      const keep = new Set(wanted.map(placeName));
      for (const name of [...this.#held.keys()]) if (!keep.has(name)) await this.#remove(name);
    }
    return failures;
  }

  async #applyOne(hook: Hook): Promise<void> {
    const { pins, way, log } = this.#options;
    const name = placeName(hook);
    const { program, ifindex, direction } = hook;
    const held = this.#held.get(name);
    if (held?.way === way) {
      const isCurrent = held.programId === program.info().id;
      if (!isCurrent || (way === 'clsact' && !this.#sure.has(name))) await held.run(program);
    } else {
      // Beside the other way first: for a moment packets are judged twice, never not at all.
      this.#held.set(name, await attach(way, hook, { program, pins }));
      await held?.end();
      log.debug({ ifindex, direction, way }, 'program attached');
    }
    this.#sure.add(name);
  }

  /** An interface that is gone took its programs with it; its number may come back. */
  async #dropDead(): Promise<void> {
    for (const [name, attachment] of this.#held) {
      if (!attachment.isAlive(this.#options.isPresent)) await this.#remove(name);
    }
  }

  async #remove(name: string): Promise<void> {
    const attachment = this.#held.get(name);
    this.#held.delete(name);
    this.#sure.delete(name);
    await attachment?.end().catch((error: unknown) => {
      const isGone = !attachment.isAlive(this.#options.isPresent);
      if (isGone) return;
      const { log } = this.#options;
      log.warn({ place: name, error: errorMessage(error) }, 'program not detached');
    });
  }

  async removeAll(): Promise<number> {
    const names = [...this.#held.keys()];
    for (const name of names) await this.#remove(name);
    return names.length;
  }

  /** Forgets them; they stay attached. */
  [Symbol.dispose](): void {
    for (const attachment of this.#held.values()) attachment.close();
    this.#held.clear();
  }
}
