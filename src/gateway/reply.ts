import { errorRow, problemText, problemType, type RequestError } from '../core/errors.ts';
import type { Counts, EventOutcome, Outcome } from './outcome.ts';

/** An HTTP response. */
export interface Reply {
  status: number;
  body: string | Uint8Array<ArrayBuffer> | null;
  headers: Record<string, string>;
}

/** Errors listed in one reply, all events together: a batch of broken events must not cost more than it is worth. */
const MAX_ERRORS = 1000;
const MAX_ERRORS_PER_EVENT = 20;
/** Characters of the list of events in one reply: it stays in memory until the client reads it. */
const MAX_LIST = 64 * 1024;

const ONE_ACCEPTED = '{"accepted":1,"duplicates":0,"rejected":0,"retry":0,"events":[]}';
// A cache may keep some statuses unless it is told not to, such as 404 (RFC 9110 section 15.1).
const PROBLEM = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' };
const JSON_TYPE = { 'content-type': 'application/json' };

/**
 * The answer to a request whose events each have a verdict. `status` is for senders that need another one than the
 * verdicts give.
 */
export function verdictReply({ counts, events }: Outcome, status = statusOf(counts, events)): Reply {
  if (events.length === 0 && counts.accepted === 1) return { status, body: ONE_ACCEPTED, headers: JSON_TYPE };
  const { accepted, duplicate, rejected, retry } = counts;
  const { listed, omitted } = listOf(events);
  const summary = JSON.stringify({ accepted, duplicates: duplicate, rejected, retry }).slice(1, -1);
  const list = `${summary},"events":[${listed.join(',')}]${omitted === 0 ? '' : `,"omitted":${omitted}`}}`;
  if (status < 400) return { status, body: `{${list}`, headers: JSON_TYPE };
  const first = events.find(({ verdict, changed }) =>
    retry > 0 ? verdict === 'retry' : verdict === 'rejected' || changed,
  );
  const code = first?.errors[0]?.code ?? 'log_unavailable';
  const problem = JSON.stringify({ type: problemType(code), title: errorRow(code).title, status }).slice(
    0,
    -1,
  );
  const headers: Record<string, string> = { ...PROBLEM };
  if (status === 503) headers['retry-after'] = '2';
  return { status, body: `${problem},${list}`, headers };
}

/** The events as JSON texts, as far as they fit; when not all do, duplicates are left out first. */
function listOf(events: EventOutcome[]): { listed: string[]; omitted: number } {
  const all = fitting(events);
  if (all.length === events.length) return { listed: all, omitted: 0 };
  const listed = fitting(events.filter(({ verdict, changed }) => verdict !== 'duplicate' || changed));
  return { listed, omitted: events.length - listed.length };
}

function fitting(events: EventOutcome[]): string[] {
  let errorsLeft = MAX_ERRORS;
  let room = MAX_LIST;
  const listed: string[] = [];
  for (const { index, line, id, verdict, changed, errors } of events) {
    const listedErrors = errors.slice(0, Math.min(MAX_ERRORS_PER_EVENT, errorsLeft));
    const text = JSON.stringify({
      index,
      ...(line === null ? {} : { line }),
      id,
      verdict,
      ...(changed ? { changed: true } : {}),
      ...(errors.length === 0 ? {} : { errors: listedErrors }),
    });
    room -= text.length;
    if (room < 0) break;
    errorsLeft -= listedErrors.length;
    listed.push(text);
  }
  return listed;
}

function statusOf(counts: Counts, events: EventOutcome[]): number {
  if (counts.retry > 0) return 503;
  // A duplicate with another payload is not stored: its sender must not take that for success.
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
  const { status, text } = problemText(error.code, error.message);
  return { status, body: text, headers: { ...PROBLEM, ...error.headers } };
}
