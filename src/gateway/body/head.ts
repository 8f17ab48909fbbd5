import type { Context } from 'hono';
import type { Limits } from '../../config/gateway/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { Coding, RequestHeaders } from '../../ports/platform.ts';
import { checkAnnounced, codingOf } from './body.ts';

/** What the head of a request says. */
export interface Head {
  method: string;
  /** Without the query. */
  path: string;
  /** Of the route: the source's name, the kind of a call. */
  param(name: string): string | undefined;
  /** By lower-case name. */
  header(name: string): string | undefined;
  /** All fields with their lower-case names; one that was sent twice is there twice, if the runtime can tell. */
  headers(): Iterable<[string, string]>;
  query(name: string): string | undefined;
  /** All parameters of the query as sent, decoded as the URL standard says. */
  queries(): Iterable<[string, string]>;
}

export function headOf(c: Context, fields: RequestHeaders): Head {
  return {
    method: c.req.method,
    // No getter: an object literal that has one gets a hidden class of its own each time, which keeps all alive.
    path: c.req.path,
    param: (name) => c.req.param(name),
    header: (name) => fields.header(c.req.raw, c.env, name),
    headers: () => fields.headers(c.req.raw, c.env),
    query: (name) => (c.req.raw.url.includes('?') ? c.req.query(name) : undefined),
    queries: () => new URL(c.req.raw.url).searchParams,
  };
}

/** The content-coding of the body, or null. Throws RequestError when the head alone is a reason to refuse. */
export function checkHead(
  head: Head,
  headerCount: number,
  limits: Limits,
  codings: readonly Coding[],
): Coding | null {
  if (headerCount > limits.headers) {
    throw new RequestError('headers_too_many', `more than ${limits.headers} header fields`);
  }
  checkAnnounced(head.header('content-length'), limits);
  return codingOf(head.header('content-encoding'), codings);
}
