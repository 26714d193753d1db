/**
 * A program on an interface, in one of two ways. A tcx link is pinned and is nobody else's. A filter of the clsact
 * qdisc, for kernels before 6.6, lives as long as its interface and the qdisc; others can remove it. Beside it the
 * program is pinned, so that the next agent knows of the filter and replaces it in place.
 */
import { existsSync } from 'node:fs';
import { errorCode } from '../../base/error.js';
import { type BpfLink, type BpfProgram, native, type TcDirection } from '../../kernel/addon.js';
import type { Pins } from './pins.js';

export interface Place {
  readonly ifindex: number;
  readonly direction: TcDirection;
}

export interface Attachment {
  readonly way: 'tcx' | 'clsact';
  readonly programId: number;
  /** Takes the place of what runs, in one step. */
  run(program: BpfProgram): Promise<void>;
  /** The interface is still there, and nobody has taken the program off it, as far as can be told. */
  isAlive(isPresent: (ifindex: number) => boolean): boolean;
  /** Makes sure that the next agent will know of it. */
  repin(): void;
  /** No program any more; what was pinned is not. */
  end(): Promise<void>;
  /** Forgets it; it stays. */
  close(): void;
}

export const placeName = ({ ifindex, direction }: Place): string => `${ifindex}-${direction}`;

/** Of our filters, on every interface: the qdisc runs filters of smaller numbers first. */
const PRIORITY = 49_152;
/** A name in bpffs has no dot. */
const CLSACT_SUFFIX = '-clsact';

class TcxAttachment implements Attachment {
  readonly way = 'tcx';
  readonly #link: BpfLink;
  readonly #pin: { readonly pins: Pins; readonly path: string };

  constructor(link: BpfLink, pins: Pins, name: string) {
    this.#link = link;
    this.#pin = { pins, path: pins.link(name) };
  }

  get programId(): number {
    return this.#link.info().programId;
  }

  run(program: BpfProgram): Promise<void> {
    this.#link.update(program);
    return Promise.resolve();
  }

  /** A link that was detached by force has no interface any more. */
  isAlive(): boolean {
    return this.#link.info().ifindex !== 0;
  }

  repin(): void {
    if (!existsSync(this.#pin.path)) this.#link.pin(this.#pin.path);
  }

  async end(): Promise<void> {
    try {
      await this.#link.detach();
    } finally {
      this.#link.close();
      this.#pin.pins.unpin(this.#pin.path);
    }
  }

  close(): void {
    this.#link.close();
  }
}

class ClsactAttachment implements Attachment {
  readonly way = 'clsact';
  readonly #place: Place;
  readonly #pins: Pins;
  programId: number;

  constructor(place: Place, pins: Pins, programId: number) {
    this.#place = place;
    this.#pins = pins;
    this.programId = programId;
  }

  get #path(): string {
    return this.#pins.link(`${placeName(this.#place)}${CLSACT_SUFFIX}`);
  }

  /** Pinned first: a filter that nobody knows of would stay for good. */
  async run(program: BpfProgram): Promise<void> {
    const { ifindex, direction } = this.#place;
    this.#pins.unpin(this.#path);
    program.pin(this.#path);
    await program.attachClsact(ifindex, direction, PRIORITY);
    this.programId = program.info().id;
  }

  isAlive(isPresent: (ifindex: number) => boolean): boolean {
    return isPresent(this.#place.ifindex);
  }

  /** A resync runs the program anew, which pins it. */
  repin(): void {}

  async end(): Promise<void> {
    const { ifindex, direction } = this.#place;
    try {
      await native().detachClsact(ifindex, direction, PRIORITY);
    } catch (error) {
      // Its interface, or its qdisc, is gone and took it along.
      if (!['ENODEV', 'ENOENT', 'EINVAL'].includes(errorCode(error) ?? '')) throw error;
    } finally {
      this.#pins.unpin(this.#path);
    }
  }

  close(): void {}
}

/** Puts a program where none of ours is. */
export async function attach(
  way: Attachment['way'],
  place: Place,
  { program, pins }: { readonly program: BpfProgram; readonly pins: Pins },
): Promise<Attachment> {
  if (way === 'clsact') {
    const attachment = new ClsactAttachment(place, pins, 0);
    try {
      await attachment.run(program);
    } catch (error) {
      await attachment.end().catch(() => undefined);
      throw error;
    }
    return attachment;
  }
  const name = placeName(place);
  const link = await program.attachTcx(place.ifindex, place.direction);
  try {
    link.pin(pins.link(name));
  } catch (error) {
    link.close();
    throw error;
  }
  return new TcxAttachment(link, pins, name);
}

/** What an earlier agent left under this pin; null, and unpinned, if its interface is gone. */
export function adopt(
  pinned: string,
  pins: Pins,
): { readonly name: string; readonly attachment: Attachment } | null {
  if (pinned.endsWith(CLSACT_SUFFIX)) {
    const name = pinned.slice(0, -CLSACT_SUFFIX.length);
    const [number, direction] = name.split('-');
    const program = native().BpfProgram.openPinned(pins.link(pinned));
    const { id } = program.info();
    program.close();
    const place = {
      ifindex: Number(number),
      direction: direction === 'egress' ? 'egress' : 'ingress',
    } as const;
    return { name, attachment: new ClsactAttachment(place, pins, id) };
  }
  const link = native().BpfLink.openPinned(pins.link(pinned));
  if (pinned.startsWith(`${link.info().ifindex}-`)) {
    return { name: pinned, attachment: new TcxAttachment(link, pins, pinned) };
  }
  link.close();
  pins.unpin(pins.link(pinned));
  return null;
}
