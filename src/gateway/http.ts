import { type Context, Hono } from 'hono';
import type { Config } from '../config/config.ts';
import type { SourceConfig } from '../config/source/types.ts';
import { RequestError } from '../core/errors.ts';
import { RELAY_MARK } from '../ports/relay.ts';
import { guardSources } from './admission/admit.ts';
import { makeCors } from './admission/cors.ts';
import { headOf } from './body/head.ts';
import { internal, Journey, type JourneyOptions } from './journey.ts';
import { RequestMemory } from './memory/request-memory.ts';
import { makeOpenApiPage, type OpenApiPage } from './openapi/page.ts';
import { NO_VERDICTS } from './outcome.ts';
import { consent } from './protocols/handshake.ts';
import type { Protocol } from './protocols/protocol.ts';
import { problemReply, type Reply } from './reply.ts';
import type { Route } from './route.ts';
import { makeRoutes } from './routes.ts';

export interface HttpOptions extends Omit<JourneyOptions, 'limits' | 'memory'> {
  config: Pick<Config, 'gateway' | 'sources'>;
}

export interface Http {
  app: Hono;
  bufferedBytes(): number;
  /** From now on replies ask clients to close their connections. */
  beginStop(): void;
}

/** The ingest application. */
export function makeHttp(options: HttpOptions): Http {
  const { config, platform, report, limiter } = options;
  const { limits } = config.gateway;
  const memory = new RequestMemory(limits);
  const sources = guardSources(config, platform);
  const cors = makeCors(config.gateway.cors, config.sources.values());
  const journey = new Journey({ ...options, limits, memory });
  const app = new Hono();
  let stopping = false;

  function refuse(c: Context, error: RequestError): Response {
    const reply = problemReply(error);
    const { status } = reply;
    const fact = { source: 'unknown', who: null, status, ms: 0, verdicts: NO_VERDICTS, error: error.code };
    report({ kind: 'request', ...fact });
    return respond(c, reply, null);
  }

  /** `source`: the request's source; null when it is not known. */
  function respond(c: Context, reply: Reply, source: SourceConfig | null): Response {
    let { headers } = reply;
    const origin = platform.header(c.req.raw, c.env, 'origin');
    if (origin !== undefined || cors.varies) headers = { ...headers, ...cors.headers(origin, source) };
    // The query may hold a key, and caches must not keep it.
    if (c.req.raw.url.includes('?')) headers = { 'cache-control': 'no-store', ...headers };
    if (stopping) headers = { ...headers, connection: 'close' };
    // A gateway at the edge must tell our reply from that of another server at our address.
    if (platform.header(c.req.raw, c.env, RELAY_MARK) !== undefined)
      headers = { ...headers, [RELAY_MARK]: 'answered' };
    return new Response(reply.body, { status: reply.status, headers });
  }

  async function take(c: Context, protocol: Protocol): Promise<Response> {
    const { reply, guarded, admission } = await journey.run(c, protocol);
    const source = guarded?.source.config ?? null;
    if (admission === null || limiter === null) return respond(c, reply, source);
    // Many requests may share one reply object.
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
    bufferedBytes: () => memory.bytes,
    beginStop() {
      stopping = true;
    },
  };
}
