/** Makes this host match what calc wants. One implementation per folder beside this file. */
import type { DesiredUpdate } from '../model/desired.js';

export interface Dataplane extends AsyncDisposable {
  readonly name: 'ebpf' | 'iptables';
  /** Records what is wanted. Synchronous, cheap, never touches the kernel. */
  onUpdate(update: DesiredUpdate): void;
  /** Makes the kernel match. What failed stays dirty and is named in the thrown ApplyError. */
  apply(options: { readonly signal: AbortSignal }): Promise<void>;
  /** The next apply() reads the kernel back instead of trusting memory. */
  queueResync(reason: string): void;
  /** Called when something outside (a link, an address) makes another apply() worthwhile. */
  onDirty(callback: () => void): void;
}
