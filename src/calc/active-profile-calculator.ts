/** Which profiles some local endpoint lists, with what they hold. A missing one is never active. */
import type { ProfileId } from '../model/desired.js';
import type { ProfileSpec } from './stored-objects.js';

export class ActiveProfileCalculator {
  readonly #onActiveProfile: (id: ProfileId, profile: ProfileSpec | null) => void;
  readonly #profiles = new Map<ProfileId, ProfileSpec>();
  readonly #listedBy = new Map<string, ReadonlySet<ProfileId>>();
  readonly #users = new Map<ProfileId, number>();

  constructor(onActiveProfile: (id: ProfileId, profile: ProfileSpec | null) => void) {
    this.#onActiveProfile = onActiveProfile;
  }

  onProfile(id: ProfileId, profile: ProfileSpec | null): void {
    if (profile === null) this.#profiles.delete(id);
    else this.#profiles.set(id, profile);
    if (this.#users.has(id)) this.#onActiveProfile(id, profile);
  }

  /** An endpoint of this host; an empty list when it went. */
  onEndpointProfiles(endpoint: string, profiles: readonly ProfileId[]): void {
    const before = this.#listedBy.get(endpoint) ?? new Set();
    const after = new Set(profiles);
    if (after.size === 0) this.#listedBy.delete(endpoint);
    else this.#listedBy.set(endpoint, after);
    for (const id of after) if (!before.has(id)) this.#use(id);
    for (const id of before) if (!after.has(id)) this.#release(id);
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      profiles: this.#profiles.size,
      endpoints: this.#listedBy.size,
      used: this.#users.size,
    };
  }

  #use(id: ProfileId): void {
    const users = this.#users.get(id) ?? 0;
    this.#users.set(id, users + 1);
    const profile = this.#profiles.get(id);
    if (users === 0 && profile !== undefined) this.#onActiveProfile(id, profile);
  }

  #release(id: ProfileId): void {
    const users = this.#users.get(id) ?? 0;
    if (users > 1) this.#users.set(id, users - 1);
    else if (this.#users.delete(id) && this.#profiles.has(id)) this.#onActiveProfile(id, null);
  }
}
