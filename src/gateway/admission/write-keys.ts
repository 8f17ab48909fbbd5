import type { Digests } from '../../ports/platform.ts';
import type { Head } from '../body/head.ts';
import { type Admission, type Door, keyOf, presentedKey, unauthorized } from './admit.ts';

/** Finds sources by the keys that open them, where no path names one. */
export class WriteKeys {
  readonly #digests: Digests;
  /** By the digest of a key. */
  readonly #doors = new Map<string, Door>();
  /** By keys that were found before: as many as the config has at most. */
  readonly #found = new Map<string, Door>();

  constructor(doors: Map<string, Door>, digests: Digests) {
    this.#digests = digests;
    for (const door of doors.values()) {
      if (door.source.config.protocol !== 'segment') continue;
      for (const { digest } of door.keys) this.#doors.set(digest, door);
    }
  }

  /** The source of the key that the head presents; null when it presents none. Throws RequestError `unauthorized`. */
  door(head: Head): Door | null {
    const key = presentedKey(head);
    return key === undefined || key === '' ? null : this.#find(key);
  }

  /** Lets in whoever has a key in the body. Throws RequestError `unauthorized`. */
  admit(key: unknown): Admission {
    if (typeof key !== 'string' || key === '') throw unauthorized();
    const door = this.#find(key);
    // Signatures are checked before a body is read: with one, the head must tell who sends.
    if (door.signature !== null) throw unauthorized();
    return { door, who: keyOf(door, key, this.#digests) };
  }

  #find(key: string): Door {
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const door = this.#doors.get(this.#digests.digest(key));
    if (door === undefined) throw unauthorized();
    this.#found.set(key, door);
    return door;
  }
}
