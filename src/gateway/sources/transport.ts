import { RequestError } from '../../errors.ts';
import { unusable } from './source.ts';

/** The Idempotency-Key header: a Structured-Fields string, or the bare text that many clients send. */
export function idempotencyKeyOf(header: string | undefined, limit: number): string | null {
  if (header === undefined) return null;
  const text = header.trim();
  const key = /^".*"$/.test(text) ? text.slice(1, -1).replace(/\\(["\\])/g, '$1') : text;
  const bad = key === '' ? 'is empty' : unusable(key, limit);
  if (bad !== null) throw new RequestError('bad_request', `header Idempotency-Key ${bad}`);
  return key;
}

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;
/** What `traceHeaders` gives when there are none. */
export const NO_TRACE: Record<string, string> = {};

/** W3C trace context as record headers; an invalid traceparent takes the tracestate with it. */
export function traceHeaders(
  traceparent: string | undefined,
  tracestate: string | undefined,
): Record<string, string> {
  if (traceparent === undefined || !TRACEPARENT.test(traceparent) || traceparent.length > 200)
    return NO_TRACE;
  if (traceparent.startsWith('00') && traceparent.length !== 55) return NO_TRACE;
  if (tracestate === undefined || tracestate.length > 4096 || unusable(tracestate, 4096) !== null)
    return { traceparent };
  return { traceparent, tracestate };
}
