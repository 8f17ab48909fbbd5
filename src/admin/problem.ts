import type { Context } from 'hono';
import { type ErrorCode, problemText } from '../core/errors.ts';

/** A refusal of the admin port, as an RFC 9457 problem. */
export function problem(
  context: Context,
  code: ErrorCode,
  detail: string,
  headers: Record<string, string> = {},
): Response {
  const { status, text } = problemText(code, detail);
  return context.body(text, status as 404, { 'content-type': 'application/problem+json', ...headers });
}
