import { Compute, GoogleAuth, gcpMetadata } from 'google-auth-library';
import type { TokenSource } from './auth.ts';

export interface GoogleTokenOptions {
  /** The audience of the tokens: the function's URL. */
  audience: string;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** A token is replaced so long before it expires, if it lasts long enough. */
const AHEAD_MS = 5 * 60_000;
/** Clocks differ, and a call takes some time to arrive. */
const MARGIN_MS = 10_000;
/** The time between attempts to replace a token that is still valid. */
const RETRY_MS = 10_000;
/** The time limit of an attempt. */
const FETCH_MS = 10_000;

/**
 * ID tokens signed by Google, with the credentials that its library finds: GOOGLE_APPLICATION_CREDENTIALS, those
 * of the gcloud command, or the metadata server (GCE_METADATA_HOST).
 */
export function googleTokens(options: GoogleTokenOptions): TokenSource {
  return new GoogleTokens(options);
}

class GoogleTokens implements TokenSource {
  readonly #options: GoogleTokenOptions;
  #auth: GoogleAuth | null = null;
  #token = '';
  #goodUntil = 0;
  #exchangeAt = 0;
  #fetching: Promise<string> | null = null;

  constructor(options: GoogleTokenOptions) {
    this.#options = options;
  }

  current(): string | null {
    const now = this.#options.now();
    if (now >= this.#goodUntil) return null;
    if (now >= this.#exchangeAt) {
      this.#exchangeAt = now + RETRY_MS;
      // When it fails, another attempt follows, or a call without a token fails and reports it.
      this.fetch().catch(() => {});
    }
    return this.#token;
  }

  fetch(): Promise<string> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<string> {
    try {
      const token = await withTimeout(FETCH_MS, this.#ask());
      const now = this.#options.now();
      const life = expiryOf(token) - now;
      if (life <= 0) throw new TokenError('it has ended already; is the clock right?');
      this.#token = token;
      this.#goodUntil = now + life - Math.min(MARGIN_MS, life / 4);
      this.#exchangeAt = now + Math.max(life - AHEAD_MS, life / 2, 1_000);
      return token;
    } catch (error) {
      // The library remembers that there was no metadata server, but that may start later than Postern.
      gcpMetadata.resetIsAvailableCache();
      this.#auth = null;
      throw new TokenError(`no Google ID token: ${wordsFor(error)}`);
    }
  }

  async #ask(): Promise<string> {
    this.#auth ??= new GoogleAuth({
      // Tokens need no project. Without a name the library runs the gcloud command to find one, which takes seconds.
      projectId: 'none',
      clientOptions: { transporterOptions: { timeout: FETCH_MS } },
    });
    const { audience } = this.#options;
    const client = await this.#auth.getClient();
    if (!('fetchIdToken' in client)) throw new TokenError('credentials of this kind give none');
    // The library does not encode it for the query.
    return await client.fetchIdToken(client instanceof Compute ? encodeURIComponent(audience) : audience);
  }
}

/** An error whose message holds no secrets. */
class TokenError extends Error {
  override readonly name = 'TokenError';
}

/** Milliseconds since 1970. */
function expiryOf(token: unknown): number {
  try {
    const claims = Buffer.from((token as string).split('.')[1]!, 'base64url').toString('utf8');
    const { exp } = JSON.parse(claims) as { exp: unknown };
    if (typeof exp === 'number') return exp * 1000;
  } catch {
    // See below.
  }
  throw new TokenError('the answer is no token');
}

/** A text without secrets: messages of the library may quote the credentials file, or the server's answer. */
function wordsFor(error: unknown): string {
  if (error instanceof TokenError) return error.message;
  const { name, message, code, status, response } = error as Error & {
    code?: unknown;
    status?: unknown;
    response?: { data?: { error?: unknown } };
  };
  if (typeof status === 'number') {
    const word = response?.data?.error;
    const isWord = typeof word === 'string' && /^[a-z_]{1,64}$/.test(word);
    return isWord ? `HTTP ${status}, ${word}` : `HTTP ${status}`;
  }
  if (typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code)) return code;
  if (message.startsWith('Could not load the default credentials')) return 'no credentials were found';
  return error instanceof SyntaxError ? 'the credentials are no JSON' : name;
}

async function withTimeout<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TokenError('none came in time')), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
