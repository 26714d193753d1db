/** Where things are pinned, below the BPF directory; the version is that of the whole layout. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { native } from '../../kernel/addon.js';

const LAYOUT = 'v1';
const BPFFS = '/sys/fs/bpf';

export class Pins {
  readonly root: string;

  constructor(bpfDir: string) {
    this.root = bpfDir;
  }

  /** Mounts bpffs where nobody has, and makes the directories. */
  prepare(): void {
    if (this.root.startsWith(`${BPFFS}/`)) native().mountBpffs(BPFFS);
    for (const dir of [this.maps, this.links, this.hooks])
      mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  get maps(): string {
    return join(this.root, LAYOUT, 'maps');
  }

  get links(): string {
    return join(this.root, LAYOUT, 'links');
  }

  /** Links to netfilter hooks, which belong to no interface. */
  get hooks(): string {
    return join(this.root, LAYOUT, 'hooks');
  }

  hook(name: string): string {
    return join(this.hooks, name);
  }

  hookNames(): readonly string[] {
    return existsSync(this.hooks) ? readdirSync(this.hooks) : [];
  }

  map(name: string): string {
    return join(this.maps, name);
  }

  link(name: string): string {
    return join(this.links, name);
  }

  linkNames(): readonly string[] {
    return existsSync(this.links) ? readdirSync(this.links) : [];
  }

  mapNames(): readonly string[] {
    return existsSync(this.maps) ? readdirSync(this.maps) : [];
  }

  unpin(path: string): void {
    rmSync(path, { force: true });
  }

  /** Only our own, and only empty directories. */
  removeAll(): void {
    const own = [this.links, this.hooks, this.maps];
    for (const dir of [...own, dirname(this.links), this.root]) {
      if (!existsSync(dir)) continue;
      if (own.includes(dir)) {
        for (const name of readdirSync(dir)) rmSync(join(dir, name), { force: true });
      }
      if (readdirSync(dir).length === 0) rmSync(dir, { recursive: true });
    }
  }
}
