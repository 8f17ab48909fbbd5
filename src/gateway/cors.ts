import { RequestError } from '../errors.ts';

/**
 * CORS (Fetch standard) for a list of exact origins; `*` allows all, without credentials. `own` is the list of a
 * source that has one: it stands in the place of the common one, with credentials.
 */
export interface Cors {
  /** True when replies differ by origin, so that caches must be told. */
  varies: boolean;
  /** Headers of every reply, refusals included: without them a page can't read why. */
  headers(origin: string | undefined, own: string[] | null): Record<string, string>;
  preflight(origin: string | undefined, own: string[] | null): Record<string, string>;
}

const ALLOWED_HEADERS =
  'authorization, content-type, content-encoding, idempotency-key, x-api-key, prefer, traceparent, tracestate, ce-id, ce-source, ce-type, ce-specversion, ce-time, ce-subject, ce-dataschema, ce-partitionkey, anonymousid, sentat';

export function makeCors({ origins, credentials }: { origins: string[]; credentials: boolean }): Cors {
  const any = origins.includes('*');
  const exact = new Set(origins);
  const varies = exact.size > 0;

  function headers(origin: string | undefined, own: string[] | null): Record<string, string> {
    if (!varies && own === null) return {};
    const vary = { vary: 'Origin' };
    if (origin === undefined) return vary;
    const listed = own === null ? exact.has(origin) : own.includes(origin);
    if (!listed && (own !== null || !any)) return vary;
    const named = listed && (credentials || own !== null);
    return {
      ...vary,
      'access-control-allow-origin': listed ? origin : '*',
      'access-control-expose-headers': 'Retry-After, RateLimit, RateLimit-Policy',
      ...(named ? { 'access-control-allow-credentials': 'true' } : {}),
    };
  }

  return {
    varies,
    headers,
    preflight(origin, own) {
      const base = headers(origin, own);
      if (!('access-control-allow-origin' in base)) return base;
      return {
        ...base,
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': ALLOWED_HEADERS,
        'access-control-max-age': '7200',
      };
    },
  };
}

/** Throws RequestError `forbidden` when a web page sends that a source's list does not name. Other clients send no Origin. */
export function checkOrigin(origins: string[] | null, origin: string | undefined): void {
  if (origins === null || origin === undefined || origins.includes(origin)) return;
  throw new RequestError('forbidden', 'this source takes nothing from pages of this origin');
}
