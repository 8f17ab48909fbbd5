import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import { RequestError } from '../../core/errors.ts';

/** Bytes of a key set, without any content-encoding. Real ones have a few thousand. */
const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 100;
/** Milliseconds until keys are fetched again. A key that the issuer withdraws works for twice this time at most. */
export const MAX_AGE = 600_000;
/** Least milliseconds between two fetches for tokens with unknown keys. */
const COOLDOWN = 5_000;
/** Milliseconds that a fetch may take. */
const FETCH_MS = 3_000;
/** Milliseconds from a failed fetch to the next one. */
const RETRY_MS = 2_000;

/** The keys behind a URL. Keys that were fetched stay in use while the URL does not answer. */
export function remoteKeys(url: URL): JWTVerifyGetKey {
  // Fetches are timed here: the set itself would refuse all tokens when it is old and cannot be renewed.
  const set = createRemoteJWKSet(url, {
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
    timeoutDuration: FETCH_MS,
    [customFetch]: fetchKeySet,
  });
  let fetched = Number.NEGATIVE_INFINITY;
  let failed = Number.NEGATIVE_INFINITY;
  let reason: unknown;
  let fetching: Promise<void> | null = null;
  let begun = 0;

  async function load(): Promise<void> {
    try {
      await set.reload();
      fetched = performance.now();
    } catch (error) {
      failed = performance.now();
      reason = error;
    } finally {
      fetching = null;
    }
    if (failed > fetched) throw unavailable(reason);
  }

  function renew(): Promise<void> {
    const now = performance.now();
    // Some runtimes drop the work of a request once it is answered: such a fetch never ends.
    if (now - begun > 2 * FETCH_MS) fetching = null;
    if (fetching === null && now - failed < RETRY_MS) return Promise.reject(unavailable(reason));
    if (fetching === null) {
      begun = now;
      fetching = load();
    }
    return fetching;
  }

  return async (header, token) => {
    if (fetched === Number.NEGATIVE_INFINITY) await renew();
    else if (performance.now() - fetched > MAX_AGE) renew().catch(() => {});
    try {
      return await set(header, token);
    } catch (error) {
      const isNew = performance.now() - fetched < COOLDOWN;
      if (!(error instanceof errors.JWKSNoMatchingKey) || isNew) throw error;
      await renew();
      return set(header, token);
    }
  };
}

/**
 * `fetch` for a key set; the signal of the request is its time limit. Rejects, with a code for the log, when the
 * answer is larger than any key set: a server that is not the issuer could fill our memory.
 */
async function fetchKeySet(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (response.status !== 200) {
    await response.body?.cancel();
    return response;
  }
  const text = await readText(response);
  if (countKeys(text) > MAX_KEYS) throw tooLarge(`more than ${MAX_KEYS} keys`);
  return new Response(text);
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = '';
  let size = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MAX_BYTES) {
      // Not awaited: the server may never end its side.
      reader.cancel().catch(() => {});
      throw tooLarge(`more than ${MAX_BYTES} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
  return text + decoder.decode();
}

/** Number of keys in a set; 0 for a text that is no set, which the reader of the set refuses. */
function countKeys(text: string): number {
  try {
    const { keys } = JSON.parse(text) as { keys: unknown };
    return Array.isArray(keys) ? keys.length : 0;
  } catch {
    return 0;
  }
}

function tooLarge(what: string): Error {
  return new Error(`the key set has ${what}`, { cause: { code: 'KEY_SET_TOO_LARGE' } });
}

/** Errors of a key set may hold a URL or claims of a token, so the log gets their kind alone. */
export function unavailable(error: unknown): RequestError {
  const fault = new RequestError('keys_unavailable', 'the keys of the token issuer cannot be fetched now', {
    'retry-after': '3',
  });
  const { name, cause } = error as Error & { cause?: { code?: unknown } };
  fault.cause = typeof cause?.code === 'string' ? cause.code : name;
  return fault;
}
