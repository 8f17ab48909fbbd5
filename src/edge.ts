import { fetchRelay } from './adapters/relay.ts';
import { webPlatform } from './adapters/runtime/web-platform.ts';
import { BindingError, type EdgeConfig, withSecrets } from './app/edge-config.ts';
import { RequestError } from './core/errors.ts';
import { makeHttp } from './gateway/http.ts';
import { problemReply } from './gateway/reply.ts';
import type { Report } from './ports/report.ts';
import type { SchemaSet } from './schema/registry.ts';

/** Variables and secrets of the runtime, by name. */
export type Bindings = Readonly<Record<string, unknown>>;

/** The execution context of Workers. It keeps the work of a request alive after its client has left. */
interface Lifetime {
  waitUntil(work: Promise<unknown>): void;
}

export interface EdgeWorker {
  fetch(request: Request, env: Bindings, lifetime: Lifetime): Promise<Response>;
}

type Handler = (request: Request, env: Bindings) => Response | Promise<Response>;

/** Milliseconds that we wait longer than the origin's own limit, as its `retry` tells more than no reply. */
const MARGIN = 2000;

/**
 * The gateway on Workers-style runtimes, with the same routes, keys, signatures and schemas. It forwards valid requests,
 * as they were sent, to the origin that the binding EDGE_ORIGIN names, and returns the origin's verdicts.
 */
export function makeWorker(config: EdgeConfig, schemas: SchemaSet): EdgeWorker {
  let handler: Handler | null = null;
  return {
    async fetch(request, env, lifetime) {
      // Not earlier: runtimes give bindings with a request, and no timers or random numbers before the first one.
      handler ??= open(config, schemas, env);
      const work = Promise.resolve(handler(request, env));
      // Else the memory that a request holds would never be released when its client leaves.
      lifetime.waitUntil(work);
      return work;
    },
  };
}

function open(config: EdgeConfig, schemas: SchemaSet, env: Bindings): Handler {
  try {
    return openGateway(config, schemas, env);
  } catch (error) {
    if (!(error instanceof BindingError)) throw error;
    log(error.message);
    const fault = new RequestError('internal', 'this gateway is not set up; send the events again later');
    return () => {
      const { status, body, headers } = problemReply(fault);
      return new Response(body, { status, headers });
    };
  }
}

function openGateway(config: EdgeConfig, schemas: SchemaSet, env: Bindings): Handler {
  const { app } = makeHttp({
    config: withSecrets(config, env),
    schemas: () => schemas,
    groups: new Map(),
    // The origin writes client addresses into events.
    clientAddress: null,
    // The runtime limits each client.
    clientGroup: () => null,
    tracing: null,
    relay: fetchRelay({
      origin: originOf(env),
      timeout: config.timeout + MARGIN,
      forwardsRefusedRequests: oneOf(env, 'EDGE_REJECTED', ['refuse', 'keep']) === 'keep',
      addressHeader: textOf(env, 'EDGE_ADDRESS_HEADER')?.toLowerCase() ?? null,
      onProblem: (reason) => log(`origin: ${reason}`),
    }),
    // The origin keeps the rates: a runtime has many of these gateways, and none knows of the others.
    limiter: null,
    platform: webPlatform(),
    report,
  });
  return (request, env) => app.fetch(request, env as object);
}

function originOf(env: Bindings): string {
  const text = textOf(env, 'EDGE_ORIGIN');
  if (text === null) throw new BindingError('EDGE_ORIGIN names no gateway that stores');
  if (!/^https?:$/.test(URL.parse(text)?.protocol ?? ''))
    throw new BindingError('EDGE_ORIGIN must be a URL with https:// or http://');
  return text;
}

function oneOf<T extends string>(env: Bindings, name: string, values: readonly [T, ...T[]]): T {
  const text = textOf(env, name) ?? values[0];
  if ((values as readonly string[]).includes(text)) return text as T;
  throw new BindingError(`${name} must be one of ${values.join(', ')}`);
}

function textOf(env: Bindings, name: string): string | null {
  const value = env[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Runtimes count requests and statuses themselves. Only bugs are logged. */
const report: Report = (fact) => {
  if (fact.kind !== 'request' || fact.cause === undefined) return;
  const { source, error, cause } = fact;
  log(`${error} at source ${source}: ${cause instanceof Error ? cause.stack : String(cause)}`);
};

function log(message: string): void {
  console.error(JSON.stringify({ level: 'error', msg: message }));
}
