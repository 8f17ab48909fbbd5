/**
 * Subjects of good tokens. When the tokens together have more characters than `limit`, the oldest are forgotten.
 * Lookup time does not depend on how many leading characters match, as the map's hash is seeded: no timing oracle.
 */
export class KnownTokens {
  readonly #tokens = new Map<string, { subject: string; until: number }>();
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(token: string): string | undefined {
    const known = this.#tokens.get(token);
    if (known === undefined || Date.now() < known.until) return known?.subject;
    this.#forget(token);
    return undefined;
  }

  /** `until`: milliseconds since 1970. */
  add(token: string, subject: string, until: number): void {
    // Two checks of one token may run at the same time.
    this.#forget(token);
    this.#tokens.set(token, { subject, until });
    this.#size += token.length;
    for (const oldest of this.#tokens.keys()) {
      if (this.#size <= this.#limit) break;
      this.#forget(oldest);
    }
  }

  #forget(token: string): void {
    if (this.#tokens.delete(token)) this.#size -= token.length;
  }
}
