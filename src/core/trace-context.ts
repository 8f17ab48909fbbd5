import { unusable } from './header-text.ts';

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;
/** The result of `traceHeaders` when there is no trace context. */
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
