import type { SourceConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';

/**
 * CORS (Fetch standard) for lists of exact origins; `*` allows all, without credentials. A source's own list
 * stands in the place of the common one, with credentials. While the source is not known, as in a preflight
 * for a key or a reply to a wrong path, an origin that any list names may read the reply.
 */
export interface Cors {
  /** True when replies differ by origin, so that caches must be told. */
  varies: boolean;
  /** Headers of every reply, refusals included: without them a page can't read why. */
  headers(origin: string | undefined, source: SourceConfig | null): Record<string, string>;
  /** `asked`: the header names of Access-Control-Request-Headers. */
  preflight(
    origin: string | undefined,
    source: SourceConfig | null,
    methods: string[],
    asked: string | undefined,
  ): Record<string, string>;
}

/** The last ones are what browser SDKs add to retries. */
const ALLOWED_HEADERS =
  'authorization, content-type, content-encoding, idempotency-key, x-api-key, prefer, traceparent, tracestate, anonymousid, sentat, x-retry-count, rsa-recovered, rsa-retry-attempt, rsa-since-last-attempt, rsa-since-first-attempt, rsa-retry-reason';
/** Of others that a page may ask for: extensions of CloudEvents, and what SDKs will think of next. */
const MAX_ASKED = 64;
/** RFC 9110 section 5.6.2, but for `*`, which is no name here. */
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

/** Named one by one: `*` does not count in replies with credentials. */
function othersIn(asked: string | undefined): string[] {
  const names = asked?.split(',').map((name) => name.trim().toLowerCase()) ?? [];
  return names.filter((name) => FIELD_NAME.test(name)).slice(0, MAX_ASKED);
}

/** Throws RequestError `forbidden` when a web page sends that a source's list does not name. Other clients send no Origin. */
export function checkOrigin(origins: string[] | null, origin: string | undefined): void {
  if (origins === null || origin === undefined || origins.includes(origin)) return;
  throw new RequestError('forbidden', 'this source takes nothing from pages of this origin');
}
