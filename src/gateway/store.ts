import { type EventError, eventError, type IncomingEvent } from '../core/event.ts';
import { claimKey } from '../ports/dedupe-store.ts';
import type { LogRecord } from '../ports/event-log.ts';
import type { Digests } from '../ports/platform.ts';
import type { CommitGroups } from './commit/group.ts';
import { type Item, makeItem } from './commit/item.ts';
import type { Source } from './formats/source.ts';
import {
  type EventOutcome,
  eventOutcome,
  isGood,
  NO_VERDICTS,
  NOT_STORED,
  type Outcome,
  refusedBatch,
} from './outcome.ts';

/** Characters of the reasons that a rejected record carries in its header. */
const MAX_REASONS = 4096;

const TOO_LARGE = eventError('event_too_large', "event is over the topic's record size limit");
const ID_REUSED = eventError('id_reused', 'another payload was stored under this id; this one was not');

/** Stores events that have been judged; resolves when each has its verdict. */
export async function store(
  events: IncomingEvent[],
  source: Source,
  groups: CommitGroups,
  digests: Digests,
): Promise<Outcome> {
  const refused = refusedBatch(events, source);
  if (refused !== null) return refused;
  const items = events.map((event) =>
    isGood(event) ? itemOf(event, source, digests) : rejectedItem(event, source),
  );
  if (items.length > 0) await groups.submit(items);
  const counts = { ...NO_VERDICTS };
  const outcomes: EventOutcome[] = [];
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    counts[item.verdict!]++;
    if (item.verdict !== 'accepted') outcomes.push(outcomeOf(events[i]!, item));
  }
  return { counts, events: outcomes, refused: false };
}

function outcomeOf(event: IncomingEvent, { verdict, code, changed }: Item): EventOutcome {
  if (verdict === 'duplicate' && changed) return eventOutcome(event, verdict, [ID_REUSED], true);
  if (verdict === 'retry')
    return eventOutcome(event, verdict, [{ ...NOT_STORED, code: code ?? NOT_STORED.code }]);
  const { errors } = event;
  return eventOutcome(event, verdict!, code === 'event_too_large' ? [...errors, TOO_LARGE] : errors);
}

function itemOf(event: IncomingEvent, source: Source, digests: Digests): Item {
  const claim = {
    key: claimKey(digests.digest(event.identity)),
    checksum: event.payloadChecksum ?? (event.data === null ? 0 : digests.checksum(event.data)),
  };
  return makeItem(recordOf(event, source), claim, 'accepted');
}

function rejectedItem(event: IncomingEvent, source: Source): Item {
  const oversize = event.errors.some((error) => error.code === 'event_too_large');
  const record = rejectedRecord(recordOf(event, source), event.errors, source.name, oversize);
  return makeItem(record, null, 'rejected');
}

function recordOf(event: IncomingEvent, source: Source): LogRecord {
  return { topic: source.config.topic, key: event.key, value: event.data, headers: event.headers };
}

/** The record that is kept of one that the log finds too large. */
export function tooLargeRecord(record: LogRecord, source: string): LogRecord {
  return rejectedRecord(record, [TOO_LARGE], source, true);
}

/** The record that keeps a refused event, with its reasons; without its payload when that is over a size limit. */
function rejectedRecord(
  record: LogRecord,
  errors: readonly EventError[],
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
