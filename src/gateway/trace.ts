import type { Context } from 'hono';
import { routePath } from 'hono/route';
import { traceHeaders } from '../core/trace-context.ts';
import type { RequestFact } from '../ports/report.ts';
import type { Span, Tracing } from '../ports/tracing.ts';
import type { Head } from './body/head.ts';

/** The step that a request is, hung on the trace that it came with. */
export function requestSpan(tracing: Tracing, c: Context, { method, path, header }: Head): Span {
  const route = routePath(c);
  return tracing.start({
    name: `${method} ${route}`,
    kind: 'server',
    parent: traceHeaders(header('traceparent'), header('tracestate')),
    links: [],
    attributes: {
      'http.request.method': method,
      'http.route': route,
      // Some have a key in their path.
      'url.path': route.includes(':key') ? route : path,
      'url.scheme': c.req.raw.url.startsWith('https:') ? 'https' : 'http',
    },
  });
}

/** What a client did wrong is no error of the server (HTTP conventions, span status). */
export function endRequestSpan(span: Span, { source, status, error }: RequestFact): void {
  span.end(status < 500 ? null : (error ?? String(status)), {
    'http.response.status_code': status,
    'postern.source': source,
  });
}
