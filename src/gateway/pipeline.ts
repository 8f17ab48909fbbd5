import type { DecodedEvent, EventError, Verdict } from '../core/event.ts';
import { claimKey } from '../ports/dedupe-store.ts';
import type { LogRecord } from '../ports/event-log.ts';
import type { Digests } from '../ports/platform.ts';
import type { CommitGroups } from './commit/group.ts';
import { type Item, makeItem } from './commit/item.ts';
import { refuse, type Source } from './formats/source.ts';
import type { EventReply } from './reply.ts';

/** What became of a request's events: how many of each verdict, and those that were not accepted. */
export interface Outcome {
  counts: Record<Verdict, number>;
  events: EventReply[];
  /** Nothing was stored, nor kept as rejected: an all-or-nothing source refused the request. */
  refused?: true;
}

/** Characters of the reasons that a rejected record carries in its header. */
const MAX_REASONS = 4096;

const NOT_STORED: EventError = { code: 'log_unavailable', detail: 'not stored; send it again' };

const ID_REUSED: EventError = {
  code: 'id_reused',
  detail: 'another payload was stored under this id; this one was not',
};

/** Stores events that have been judged; resolves when each has its verdict. */
export async function store(
  events: DecodedEvent[],
  source: Source,
  groups: CommitGroups,
  digests: Digests,
): Promise<Outcome> {
  const refused = refusedBatch(events, source);
  if (refused !== null) return refused;
  const counts = noVerdicts();
  const items = events.map((event) =>
    event.errors.length === 0 ? itemOf(event, source, digests) : rejectedItem(event, source),
  );
  if (items.length > 0) await groups.submit(items);
  const replies: EventReply[] = [];
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    const verdict = item.verdict!;
    counts[verdict]++;
    if (verdict === 'accepted') continue;
    const event = events[i]!;
    const changed = verdict === 'duplicate' && item.changed;
    if (changed) event.errors = [ID_REUSED];
    else if (verdict === 'retry') event.errors = [{ ...NOT_STORED, code: item.code ?? NOT_STORED.code }];
    else if (item.code === 'event_too_large')
      refuse(event, item.code, "event is over the topic's record size limit");
    replies.push(replyOf(event, verdict, changed));
  }
  return { counts, events: replies };
}

/** The outcome when an all-or-nothing source refuses the request, else null. */
function refusedBatch(events: DecodedEvent[], source: Source): Outcome | null {
  if (source.config.batch !== 'all-or-nothing' || events.every(({ errors }) => errors.length === 0))
    return null;
  for (const event of events) {
    if (event.errors.length === 0) refuse(event, 'batch_refused', 'another event of the batch was refused');
  }
  return { ...outcomeOf(events, 'rejected'), refused: true };
}

/** The outcome when no event of the request may come in, else null. */
export function refusedWhole(events: DecodedEvent[], source: Source): Outcome | null {
  if (events.some(({ errors }) => errors.length === 0)) return refusedBatch(events, source);
  return refusedBatch(events, source) ?? outcomeOf(events, 'rejected');
}

/** The outcome when it is not known that anything is stored. */
export function unstored(events: DecodedEvent[]): Outcome {
  for (const event of events) event.errors = [NOT_STORED];
  return outcomeOf(events, 'retry');
}

function outcomeOf(events: DecodedEvent[], verdict: Verdict): Outcome {
  return {
    counts: { ...noVerdicts(), [verdict]: events.length },
    events: events.map((event) => replyOf(event, verdict, false)),
  };
}

function noVerdicts(): Record<Verdict, number> {
  return { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
}

function replyOf(event: DecodedEvent, verdict: Verdict, changed: boolean): EventReply {
  const { index, line, id, errors } = event;
  return { index, ...(line === undefined ? {} : { line }), id, verdict, changed, errors };
}

function itemOf(event: DecodedEvent, source: Source, digests: Digests): Item {
  const claim = {
    key: claimKey(digests.digest(event.identity)),
    print: event.print ?? (event.data === null ? 0 : digests.checksum(event.data)),
  };
  return makeItem(recordOf(event, source), claim, 'accepted');
}

function rejectedItem(event: DecodedEvent, source: Source): Item {
  const oversize = event.errors.some((error) => error.code === 'event_too_large');
  return makeItem(
    rejectedRecord(recordOf(event, source), event.errors, source.name, oversize),
    null,
    'rejected',
  );
}

function recordOf(event: DecodedEvent, source: Source): LogRecord {
  return { topic: source.config.topic, key: event.key, value: event.data, headers: event.headers };
}

/** The record that keeps a refused event, with its reasons; without its payload when that is over a size limit. */
export function rejectedRecord(
  record: LogRecord,
  errors: EventError[],
  source: string,
  withoutValue: boolean,
): LogRecord {
  const headers: LogRecord['headers'] = { ...record.headers, postern_source: source };
  let reasons = JSON.stringify(errors.slice(0, 20));
  if (reasons.length > MAX_REASONS)
    reasons = JSON.stringify(errors.slice(0, 1).map(({ code, pointer }) => ({ code, pointer })));
  headers.postern_errors = reasons.length > MAX_REASONS ? `[{"code":"${errors[0]!.code}"}]` : reasons;
  if (withoutValue) headers.postern_truncated = String(record.value?.length ?? 0);
  return {
    topic: `${record.topic}.rejected`,
    key: record.key,
    value: withoutValue ? null : record.value,
    headers,
  };
}
