import { hash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import type { Config } from '../config/config.ts';
import { bearerToken, isToken } from '../core/bearer.ts';
import { hostOf, isAddress, isLoopback } from '../core/host.ts';
import { problem } from './problem.ts';

/** Who may use the admin port: the config's `admin`, and this machine's name. */
export type AdminAccess = Config['admin'] & { hostname: string };

type Rights = 'read' | 'operate';

/** Bytes of a body as announced. No route reads one, so what comes without a length is not held either. */
const BODY = 64 * 1024;
const CHALLENGE = 'Bearer realm="postern admin"';

/** Refuses pages of other sites, and whoever has no token that is good for the method. */
export function guard(access: AdminAccess): MiddlewareHandler {
  const isOwnHost = makeHostCheck(access);
  const refuseRights = makeRightsCheck(access);
  return async (context, next) => {
    const host = context.req.header('host');
    const refused = isOwnHost(host)
      ? (refuseForeign(context, host!) ?? refuseRights(context) ?? refuseBody(context))
      : problem(
          context,
          'forbidden',
          "Host must be localhost, an IP address, this machine's name or one of admin.hosts in the config",
        );
    return refused ?? (await next());
  };
}

/**
 * A page can send requests here under a name of its own (DNS rebinding): to the browser they are requests of one site.
 * That takes a name whose address the attacker chooses, so an IP address as Host is none of them.
 */
function makeHostCheck({ listen, hosts, hostname }: AdminAccess): (header: string | undefined) => boolean {
  const names = new Set(['localhost', listen.host, hostname, ...hosts].map((name) => name.toLowerCase()));
  return (header) => {
    const host = hostOf(header);
    return host !== null && (names.has(host) || isAddress(host));
  };
}

/** What browsers say of a page of another site. */
function refuseForeign(context: Context, host: string): Response | null {
  const origin = context.req.header('origin');
  if (origin !== undefined && !isOrigin(origin, host))
    return problem(context, 'forbidden', 'Origin must be that of the admin port itself, or absent');
  const site = context.req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return problem(context, 'forbidden', 'Sec-Fetch-Site must be same-origin or none, or absent');
  return null;
}

/** A proxy in front may add TLS. */
function isOrigin(origin: string, host: string): boolean {
  return ['http', 'https'].some((scheme) => URL.parse(`${scheme}://${host}`)?.origin === origin);
}

function makeRightsCheck({ listen, tokens }: AdminAccess): (context: Context) => Response | null {
  // Operating comes last: a token that is in both lists may operate.
  const known = (['read', 'operate'] as const).flatMap((rights) =>
    tokens[rights].map((token) => ({ rights, digest: digestOf(token) })),
  );
  if (known.length === 0) {
    if (isLoopback(listen.host)) return () => null;
    return (context) =>
      problem(
        context,
        'forbidden',
        'admin.tokens in the config has no token, so only /livez, /readyz and /metrics are open: admin.listen is no loopback address',
      );
  }
  return (context) => {
    const rights = rightsOf(context.req.header('authorization'));
    if (rights === undefined)
      return problem(context, 'unauthorized', 'send a token of admin.tokens as Authorization: Bearer', {
        'www-authenticate': CHALLENGE,
      });
    if (rights === null)
      return problem(context, 'unauthorized', 'this token is none of admin.tokens', {
        'www-authenticate': `${CHALLENGE}, error="invalid_token"`,
      });
    if (rights === 'operate' || /^(?:GET|HEAD)$/.test(context.req.method)) return null;
    return problem(
      context,
      'forbidden',
      'this token may only read; admin.tokens.operate has those that may',
      {
        'www-authenticate': `${CHALLENGE}, error="insufficient_scope"`,
      },
    );
  };

  /** Undefined when no token is sent, null when it is a wrong one. */
  function rightsOf(authorization: string | undefined): Rights | null | undefined {
    const token = authorization === undefined ? undefined : bearerToken(authorization);
    if (token === undefined) return undefined;
    if (!isToken(token)) return null;
    const digest = digestOf(token);
    let found: Rights | null = null;
    for (const one of known) if (timingSafeEqual(digest, one.digest)) found = one.rights;
    return found;
  }
}

/** Of one length, so that comparing two takes one time. */
function digestOf(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}

function refuseBody(context: Context): Response | null {
  if (Number(context.req.header('content-length') ?? 0) <= BODY) return null;
  return problem(context, 'body_too_large', `a body here has at most ${BODY} bytes`);
}
