import type { Context } from 'hono';
import { type ErrorCode, errorRow } from '../errors.ts';

/** A refusal of the admin port, as an RFC 9457 problem. */
export function problem(
  context: Context,
  code: ErrorCode,
  detail: string,
  headers: Record<string, string> = {},
): Response {
  const { status, title } = errorRow(code);
  const body = JSON.stringify({ type: `urn:postern:problem:${code}`, title, status, detail });
  return context.body(body, status as 404, { 'content-type': 'application/problem+json', ...headers });
}
