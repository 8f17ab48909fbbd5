import { type Context, Hono } from 'hono';
import type { Config } from '../config/config.ts';
import type { SourceConfig } from '../config/source/types.ts';
import type { Origin } from '../core/address.ts';
import { RequestError } from '../core/errors.ts';
import type { Platform } from '../ports/platform.ts';
import { RELAY_MARK, type Relay } from '../ports/relay.ts';
import type { Report } from '../ports/report.ts';
import type { Tracing } from '../ports/tracing.ts';
import type { SchemaSet } from '../schema/registry.ts';
import { guardSources } from './admission/admit.ts';
import { makeCors } from './admission/cors.ts';
import { consent } from './admission/handshake.ts';
import { headOf } from './body/head.ts';
import type { CommitGroups } from './commit/group.ts';
import { internal, Journey, NO_VERDICTS } from './journey.ts';
import { makeOpenApiPage, type OpenApiPage } from './openapi/page.ts';
import type { Protocol } from './protocols/protocol.ts';
import type { Limiter } from './rate/limiter.ts';
import { problemReply, type Reply } from './reply.ts';
import { Room } from './room.ts';
import type { Route } from './route.ts';
import { makeRoutes } from './routes.ts';

export interface HttpOptions {
  config: Pick<Config, 'gateway' | 'sources'>;
  schemas: () => SchemaSet;
  /** Of each topic; none where `relay` takes the requests. */
  groups: Map<string, CommitGroups>;
  relay: Relay | null;
  /** Null when records get no address. */
  clientAddress: ((origin: Origin) => string | null) | null;
  /** Whose share of the room a request takes; null when that is not known. */
  clientGroup: (origin: Origin) => string | null;
  limiter: Limiter | null;
  platform: Platform;
  report: Report;
  /** Null when nobody traces. */
  tracing: Tracing | null;
}

export interface Http {
  app: Hono;
  bufferedBytes(): number;
  /** From now on replies ask clients to close their connections. */
  beginStop(): void;
}

/** The ingest application: its routes. */
export function makeHttp(options: HttpOptions): Http {
  const { config, platform, report, limiter } = options;
  const { limits } = config.gateway;
  const room = new Room(limits);
  const sources = guardSources(config, platform);
  const cors = makeCors(config.gateway.cors, config.sources.values());
  const journey = new Journey({
    limits,
    room,
    schemas: options.schemas,
    groups: options.groups,
    relay: options.relay,
    limiter,
    clientAddress: options.clientAddress,
    clientGroup: options.clientGroup,
    platform,
    report,
    tracing: options.tracing,
  });
  const app = new Hono();
  let stopping = false;

  function refuse(c: Context, error: RequestError): Response {
    const reply = problemReply(error);
    report({
      kind: 'request',
      source: 'unknown',
      who: null,
      status: reply.status,
      ms: 0,
      verdicts: NO_VERDICTS,
      error: error.code,
    });
    return respond(c, reply, null);
  }

  /** `source`: whom the request is for; null when that is not known. */
  function respond(c: Context, reply: Reply, source: SourceConfig | null): Response {
    let { headers } = reply;
    const origin = platform.header(c.req.raw, c.env, 'origin');
    if (origin !== undefined || cors.varies) headers = { ...headers, ...cors.headers(origin, source) };
    // It may hold a key.
    if (c.req.raw.url.includes('?')) headers = { 'cache-control': 'no-store', ...headers };
    if (stopping) headers = { ...headers, connection: 'close' };
    // Whoever hands requests on must be able to tell our word from that of a server that took our address.
    if (platform.header(c.req.raw, c.env, RELAY_MARK) !== undefined)
      headers = { ...headers, [RELAY_MARK]: 'answered' };
    return new Response(reply.body, { status: reply.status, headers });
  }

  async function take(c: Context, protocol: Protocol): Promise<Response> {
    const { reply, guarded, admission } = await journey.run(c, protocol);
    const source = guarded?.source.config ?? null;
    if (admission === null || limiter === null) return respond(c, reply, source);
    // A reply may be one that many requests share.
    return respond(c, { ...reply, headers: { ...reply.headers, ...limiter.headers(admission) } }, source);
  }

  /** One handler for all methods of a path: with several, Hono runs each request through its middleware chain. */
  function serve({ path, methods, protocol }: Route): void {
    const allow = [...methods, 'OPTIONS'].join(', ');
    app.all(path, (c) => {
      const { method } = c.req;
      if (methods.includes(method as 'POST')) return take(c, protocol);
      if (method === 'OPTIONS') {
        const handshake = methods.includes('POST') && c.req.header('webhook-request-origin') !== undefined;
        return handshake ? shakeHands(c, protocol) : preflight(c, methods, allow);
      }
      const detail = `this path takes ${methods.join(' and ')}`;
      return refuse(c, new RequestError('method_not_allowed', detail, { allow }));
    });
  }

  function preflight(c: Context, methods: string[], allow: string): Response {
    const source = sources.get(c.req.param('source') ?? '')?.source.config ?? null;
    const asked = c.req.header('access-control-request-headers');
    const headers = { allow, ...cors.preflight(c.req.header('origin'), source, methods, asked) };
    return new Response(null, { status: 204, headers });
  }

  async function shakeHands(c: Context, protocol: Protocol): Promise<Response> {
    try {
      return respond(c, await consent(protocol, headOf(c, platform), platform), null);
    } catch (error) {
      return refuse(c, error instanceof RequestError ? error : internal(error));
    }
  }

  function serveOpenApi(page: OpenApiPage): void {
    app.all('/openapi.json', (c) => {
      const { method } = c.req;
      if (method === 'GET' || method === 'HEAD') return respond(c, page(c.req.header('if-none-match')), null);
      const detail = 'this path takes GET';
      return refuse(c, new RequestError('method_not_allowed', detail, { allow: 'GET, HEAD' }));
    });
  }

  const routes = makeRoutes(sources, platform);
  for (const route of routes) serve(route);
  if (config.gateway.openapi) serveOpenApi(makeOpenApiPage(routes, config, options.schemas, platform));
  app.notFound((c) => refuse(c, new RequestError('not_found', 'events are sent to /events/{source}')));
  app.onError((error, c) => respond(c, problemReply(internal(error)), null));

  return {
    app,
    bufferedBytes: () => room.bytes,
    beginStop() {
      stopping = true;
    },
  };
}
