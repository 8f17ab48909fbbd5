import type { Platform } from '../../ports/platform.ts';
import type { Head } from '../body/head.ts';
import { type Admission, type Door, keyOf, presentedKey, unauthorized } from './admit.ts';

/** Finds Segment sources by their keys: no path names these sources. */
export class WriteKeys {
  readonly #platform: Platform;
  /** By digest of a key. */
  readonly #doors = new Map<string, Door>();
  /** By keys that were right before, so no more than the config has. */
  readonly #found = new Map<string, Door>();

  constructor(doors: Map<string, Door>, platform: Platform) {
    this.#platform = platform;
    for (const door of doors.values()) {
      if (door.source.config.protocol !== 'segment') continue;
      for (const { digest } of door.keys) this.#doors.set(digest, door);
    }
  }

  /** The source of the key in the head; null when the head has none. Throws RequestError `unauthorized`. */
  door(head: Head): Door | null {
    const key = presentedKey(head);
    return key === undefined || key === '' ? null : this.#find(key);
  }

  /** Admits the sender of a body by the key in it. Throws RequestError `unauthorized`. */
  admit(key: unknown): Admission {
    if (typeof key !== 'string' || key === '') throw unauthorized();
    const door = this.#find(key);
    // A signature is checked before the body is read, so the source must be known from the head.
    if (door.signature !== null) throw unauthorized();
    return { door, who: keyOf(door, key, this.#platform) };
  }

  #find(key: string): Door {
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const door = this.#doors.get(this.#platform.digest(key));
    if (door === undefined) throw unauthorized();
    this.#found.set(key, door);
    return door;
  }
}
