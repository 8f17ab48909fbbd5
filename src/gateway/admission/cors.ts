import type { SourceConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';

/**
 * CORS (Fetch standard) for lists of exact origins. `*` allows all, without credentials. A source's own list replaces
 * the common one, with credentials. When the source is unknown (a preflight where a key names the source, a wrong path),
 * an origin of any list may read the reply.
 */
export interface Cors {
  /** True when replies differ by origin, so that they need `Vary`. */
  varies: boolean;
  /** Headers of every reply. Refusals have them too, so that a page can read the reason. */
  headers(origin: string | undefined, source: SourceConfig | null): Record<string, string>;
  /** `asked`: the header names of Access-Control-Request-Headers. */
  preflight(
    origin: string | undefined,
    source: SourceConfig | null,
    methods: string[],
    asked: string | undefined,
  ): Record<string, string>;
}

/** From `anonymousid` on: headers of browser SDKs. */
const ALLOWED_HEADERS =
  'authorization, content-type, content-encoding, idempotency-key, x-api-key, prefer, traceparent, tracestate, anonymousid, sentat, x-retry-count, rsa-recovered, rsa-retry-attempt, rsa-since-last-attempt, rsa-since-first-attempt, rsa-retry-reason';
/** Most other headers that a page may ask for, such as CloudEvents extensions. */
const MAX_ASKED = 64;
/** A field name (RFC 9110 section 5.6.2) without `*`, which would allow all headers. */
const FIELD_NAME = /^[!#$%&'+.^_`|~0-9a-z-]{1,64}$/;

export function makeCors(
  { origins, credentials }: { origins: string[]; credentials: boolean },
  sources: Iterable<SourceConfig>,
): Cors {
  const any = origins.includes('*');
  const common = new Set(origins);
  const owned = new Set([...sources].flatMap((source) => source.origins ?? []));
  const varies = common.size > 0 || owned.size > 0;

  function headers(origin: string | undefined, source: SourceConfig | null): Record<string, string> {
    const own = source?.origins ?? null;
    if (!varies && own === null) return {};
    const vary = { vary: 'Origin' };
    if (origin === undefined) return vary;
    const byOwner = own === null ? source === null && owned.has(origin) : own.includes(origin);
    const byCommon = own === null && common.has(origin);
    if (!byOwner && !byCommon && (own !== null || !any)) return vary;
    return {
      ...vary,
      'access-control-allow-origin': byOwner || byCommon ? origin : '*',
      'access-control-expose-headers': 'Retry-After, RateLimit, RateLimit-Policy',
      ...(byOwner || (byCommon && credentials) ? { 'access-control-allow-credentials': 'true' } : {}),
    };
  }

  return {
    varies,
    headers,
    preflight(origin, source, methods, asked) {
      const base = headers(origin, source);
      if (!('access-control-allow-origin' in base)) return base;
      return {
        ...base,
        'access-control-allow-methods': methods.join(', '),
        'access-control-allow-headers': [ALLOWED_HEADERS, ...othersIn(asked)].join(', '),
        'access-control-max-age': '7200',
      };
    },
  };
}

/** Header names that a page asks for. They are listed one by one, as replies with credentials may not say `*`. */
function othersIn(asked: string | undefined): string[] {
  const names = asked?.split(',').map((name) => name.trim().toLowerCase()) ?? [];
  return names.filter((name) => FIELD_NAME.test(name)).slice(0, MAX_ASKED);
}

/** Throws RequestError `forbidden` for a page whose origin is not in the source's list. Only pages send Origin. */
export function checkOrigin(origins: string[] | null, origin: string | undefined): void {
  if (origins === null || origin === undefined || origins.includes(origin)) return;
  throw new RequestError('forbidden', 'this source takes no events from web pages of this origin');
}
