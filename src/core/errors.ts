/**
 * The closed table of everything that can be wrong with a request or an event. The code is also the
 * problem type's suffix (RFC 9457) and the label in metrics; the status is what a request gets that
 * fails as a whole, or whose every event fails, for this reason.
 */
const table = {
  bad_request: { status: 400, title: 'Request is malformed' },
  not_json: { status: 400, title: 'Body is not valid JSON' },
  not_utf8: { status: 400, title: 'Body is not valid UTF-8' },
  bad_encoding: { status: 400, title: 'Body does not match its Content-Encoding' },
  bad_cloudevent: { status: 400, title: 'Not a valid CloudEvent' },
  bad_segment: { status: 422, title: 'Not a valid Segment call' },
  bad_senml: { status: 400, title: 'Not a valid SenML pack' },
  not_cbor: { status: 400, title: 'Body is not valid CBOR' },
  bad_webhook: { status: 400, title: 'Webhook cannot be read' },
  empty_body: { status: 400, title: 'Body is empty' },
  body_aborted: { status: 400, title: 'Body ended early' },
  unauthorized: { status: 401, title: 'Key is missing or wrong' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Unknown source or path' },
  method_not_allowed: { status: 405, title: 'Method is not allowed here' },
  body_timeout: { status: 408, title: 'Request came too slowly' },
  body_too_large: { status: 413, title: 'Body is too large' },
  batch_too_large: { status: 413, title: 'Too many events in one request' },
  event_too_large: { status: 413, title: 'Event is too large' },
  unsupported_type: { status: 415, title: 'Content-Type is not supported' },
  unsupported_charset: { status: 415, title: 'Charset is not supported' },
  unsupported_encoding: { status: 415, title: 'Content-Encoding is not supported' },
  not_an_object: { status: 422, title: 'Event is not a JSON object' },
  too_deep: { status: 422, title: 'Event is nested too deeply' },
  too_many_values: { status: 422, title: 'Event holds too many values' },
  id_missing: { status: 422, title: 'Event has no id' },
  id_invalid: { status: 422, title: 'Event id cannot be used' },
  attribute_invalid: { status: 422, title: 'Event attribute cannot be used' },
  key_invalid: { status: 422, title: 'Partition key cannot be used' },
  schema_unknown: { status: 422, title: 'No such schema' },
  schema_mismatch: { status: 422, title: 'Event does not match its schema' },
  id_reused: { status: 409, title: 'Another payload is stored under this id' },
  batch_refused: { status: 422, title: 'Another event of an all-or-nothing batch was refused' },
  rate_limited: { status: 429, title: 'Too much at once' },
  headers_too_many: { status: 431, title: 'Too many header fields' },
  internal: { status: 500, title: 'Internal error' },
  overloaded: { status: 503, title: 'No room for this request now' },
  log_unavailable: { status: 503, title: 'Events cannot be stored now' },
  dedupe_unavailable: { status: 503, title: 'Duplicates cannot be told now' },
  keys_unavailable: { status: 503, title: 'Tokens cannot be checked now' },
  id_in_flight: { status: 503, title: 'The same id is being stored by another process' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof table;

export const ERROR_CODES = Object.keys(table) as ErrorCode[];

/** Status and title of a code. */
export function errorRow(code: ErrorCode): { status: number; title: string } {
  return table[code];
}

/** The type of a problem (RFC 9457). */
export function problemType(code: ErrorCode): string {
  return `urn:postern:problem:${code}`;
}

/** A problem as JSON text, with its status and title. */
export function problemText(
  code: ErrorCode,
  detail: string,
): { status: number; title: string; text: string } {
  const { status, title } = errorRow(code);
  return { status, title, text: JSON.stringify({ type: problemType(code), title, status, detail }) };
}

/** Thrown for faults of a whole request; becomes an RFC 9457 problem. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: ErrorCode;
  /** Further response headers, such as Retry-After or Accept-Post. */
  readonly headers: Record<string, string>;
  /** The exact reason as a fixed word, for metrics and log only: clients do not get it. */
  reason?: string;

  constructor(code: ErrorCode, detail: string, headers: Record<string, string> = {}) {
    // Nobody reads where a refusal was made, and to find out costs ten times the rest of it.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(detail);
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.headers = headers;
  }
}
