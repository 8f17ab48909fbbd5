import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
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
  // Not jose's createRemoteJWKSet: it refuses all tokens when its keys are old and cannot be fetched again.
  let set: JWTVerifyGetKey | null = null;
  let fetched = Number.NEGATIVE_INFINITY;
  let failed = Number.NEGATIVE_INFINITY;
  let reason: unknown;
  let fetching: Promise<void> | null = null;
  let begun = 0;

  async function load(): Promise<void> {
    try {
      set = createLocalJWKSet(await fetchKeySet(url));
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
    if (set === null) await renew();
    else if (performance.now() - fetched > MAX_AGE) renew().catch(() => {});
    try {
      return await set!(header, token);
    } catch (error) {
      const isNew = performance.now() - fetched < COOLDOWN;
      if (!(error instanceof errors.JWKSNoMatchingKey) || isNew) throw error;
      await renew();
      return set!(header, token);
    }
  };
}

/** Rejects, with a code for the log, when the answer is not a key set or larger than any: another server could fill our memory. */
async function fetchKeySet(url: URL): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    headers: { accept: 'application/json, application/jwk-set+json', 'user-agent': 'postern' },
    redirect: 'manual',
    signal: AbortSignal.timeout(FETCH_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw refusal('KEY_SET_STATUS');
  }
  // A document that is no key set is refused by jose, whose error says so in the log.
  const set = JSON.parse(await readText(response)) as JSONWebKeySet;
  if (Array.isArray(set?.keys) && set.keys.length > MAX_KEYS) throw refusal('KEY_SET_TOO_LARGE');
  return set;
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
      throw refusal('KEY_SET_TOO_LARGE');
    }
    text += decoder.decode(value, { stream: true });
  }
  return text + decoder.decode();
}

function refusal(code: string): Error {
  return new Error('the answer is not a key set that we take', { cause: { code } });
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
