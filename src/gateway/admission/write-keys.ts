import type { Digests } from '../../ports/platform.ts';
import type { Head } from '../body/head.ts';
import { type Admission, type GuardedSource, keyOf, presentedKey, unauthorized } from './admit.ts';

/** Finds Segment sources by their keys: no path names these sources. */
export class WriteKeys {
  readonly #digests: Digests;
  /** By digest of a key. */
  readonly #sources = new Map<string, GuardedSource>();
  /** By keys that were right before, so no more than the config has. */
  readonly #found = new Map<string, GuardedSource>();

  constructor(sources: Map<string, GuardedSource>, digests: Digests) {
    this.#digests = digests;
    for (const guarded of sources.values()) {
      if (guarded.source.config.protocol !== 'segment') continue;
      for (const { digest } of guarded.keys) this.#sources.set(digest, guarded);
    }
  }

  /** The source of the key in the head; null when the head has none. Throws RequestError `unauthorized`. */
  sourceOf(head: Head): GuardedSource | null {
    const key = presentedKey(head);
    return key === undefined || key === '' ? null : this.#find(key);
  }

  /** Admits the sender of a body by the key in it. Throws RequestError `unauthorized`. */
  admit(key: unknown): Admission {
    if (typeof key !== 'string' || key === '') throw unauthorized();
    const guarded = this.#find(key);
    // A signature is checked before the body is read, so the source must be known from the head.
    if (guarded.signature !== null) throw unauthorized();
    return { guarded, who: keyOf(guarded, key, this.#digests) };
  }

  #find(key: string): GuardedSource {
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const guarded = this.#sources.get(this.#digests.digest(key));
    if (guarded === undefined) throw unauthorized();
    this.#found.set(key, guarded);
    return guarded;
  }
}
