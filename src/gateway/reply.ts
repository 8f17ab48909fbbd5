import { type ErrorCode, errorRow, type RequestError } from '../errors.ts';
import type { EventError, Verdict } from '../event.ts';

/** What is said of one event. */
export interface EventReply {
  index: number;
  line?: number;
  id: string;
  verdict: Verdict;
  changed: boolean;
  errors: EventError[];
}

export interface Reply {
  status: number;
  body: string | Uint8Array<ArrayBuffer> | null;
  headers: Record<string, string>;
}

/** Errors listed in one reply, all events together: a batch of broken events must not cost more than it is worth. */
const MAX_ERRORS = 1000;
const MAX_ERRORS_PER_EVENT = 20;

const ONE_ACCEPTED = '{"accepted":1,"duplicates":0,"rejected":0,"retry":0,"events":[]}';
// A problem of a GET, such as a wrong path, would be cached by rule (RFC 9110 section 15.1).
const PROBLEM = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' };
const JSON_TYPE = { 'content-type': 'application/json' };

/**
 * The answer to a request whose events each have a verdict. `events` are those that were not accepted.
 * `status` is for senders that must be told another one than the verdicts give.
 */
export function verdictReply(
  counts: Record<Verdict, number>,
  events: EventReply[],
  status = statusOf(counts, events),
): Reply {
  if (events.length === 0 && counts.accepted === 1) return { status, body: ONE_ACCEPTED, headers: JSON_TYPE };
  let room = MAX_ERRORS;
  const listed = events.map((event) => {
    const errors = event.errors.slice(0, Math.min(MAX_ERRORS_PER_EVENT, room));
    room -= errors.length;
    return {
      index: event.index,
      ...(event.line === undefined ? {} : { line: event.line }),
      id: event.id,
      verdict: event.verdict,
      ...(event.changed ? { changed: true } : {}),
      ...(event.errors.length === 0 ? {} : { errors }),
    };
  });
  const { accepted, duplicate, rejected, retry } = counts;
  const body = { accepted, duplicates: duplicate, rejected, retry, events: listed };
  if (status < 400) return { status, body: JSON.stringify(body), headers: JSON_TYPE };
  const first = events.find(({ verdict, changed }) =>
    retry > 0 ? verdict === 'retry' : verdict === 'rejected' || changed,
  );
  const code = first?.errors[0]?.code ?? 'log_unavailable';
  const problem = { type: typeOf(code), title: errorRow(code).title, status, ...body };
  const headers: Record<string, string> = { ...PROBLEM };
  if (status === 503) headers['retry-after'] = '2';
  return { status, body: JSON.stringify(problem), headers };
}

function statusOf(counts: Record<Verdict, number>, events: EventReply[]): number {
  if (counts.retry > 0) return 503;
  // Of a duplicate with another payload nothing is stored: its sender must not take that for success.
  const failed = events.filter(({ verdict, changed }) => verdict === 'rejected' || changed);
  if (failed.length === 0) return 202;
  if (counts.accepted + counts.duplicate + counts.rejected > failed.length) return 207;
  const statuses = new Set(
    failed.map((event) => errorRow(event.errors[0]?.code ?? 'schema_mismatch').status),
  );
  return statuses.size === 1 ? [...statuses][0]! : 422;
}

/** The answer to a request that failed as a whole (RFC 9457). */
export function problemReply(error: RequestError): Reply {
  const { status, title } = errorRow(error.code);
  return {
    status,
    body: JSON.stringify({ type: typeOf(error.code), title, status, detail: error.message }),
    headers: { ...PROBLEM, ...error.headers },
  };
}

function typeOf(code: ErrorCode): string {
  return `urn:postern:problem:${code}`;
}
