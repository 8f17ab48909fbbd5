/** CORS (Fetch standard) for a list of exact origins; `*` allows all, without credentials. */
export interface Cors {
  /** True when replies differ by origin, so that caches must be told. */
  varies: boolean;
  /** Headers of every reply, refusals included: without them a page can't read why. */
  headers(origin: string | undefined): Record<string, string>;
  preflight(origin: string | undefined): Record<string, string>;
}

const ALLOWED_HEADERS =
  'authorization, content-type, content-encoding, idempotency-key, x-api-key, prefer, traceparent, tracestate, ce-id, ce-source, ce-type, ce-specversion, ce-time, ce-subject, ce-dataschema, ce-partitionkey, anonymousid, sentat';

export function makeCors({ origins, credentials }: { origins: string[]; credentials: boolean }): Cors {
  const any = origins.includes('*');
  const exact = new Set(origins);
  const varies = exact.size > 0;

  function headers(origin: string | undefined): Record<string, string> {
    if (!varies) return {};
    const vary = { vary: 'Origin' };
    if (origin === undefined || !(any || exact.has(origin))) return vary;
    const listed = exact.has(origin);
    return {
      ...vary,
      'access-control-allow-origin': listed || credentials ? origin : '*',
      'access-control-expose-headers': 'Retry-After',
      ...(credentials && listed ? { 'access-control-allow-credentials': 'true' } : {}),
    };
  }

  return {
    varies,
    headers,
    preflight(origin) {
      const base = headers(origin);
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
