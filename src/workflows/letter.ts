import type { LogRecord, RecordHeaders } from '../ports/event-log.ts';
import type { Journal, Written } from './journal.ts';
import type { Failure } from './state.ts';

/** Bytes of UTF-8. */
const DETAIL_BYTES = 1024;

/** What a dead letter is made of: a record as it was, and where it was if it was stored. */
export interface Origin {
  topic: string;
  partition?: number;
  offset?: number;
  timestamp?: number;
  key: string | Uint8Array | null;
  value: Uint8Array | null;
  headers: RecordHeaders;
}

/**
 * Stores what a workflow could not do as a dead letter, with the headers that those of subscriptions have; without its
 * value when it is too large.
 */
export async function storeLetter(
  journal: Journal,
  origin: Origin,
  workflow: string,
  failure: Failure,
  topic: string,
): Promise<Written> {
  const record = letterRecord(origin, workflow, failure, topic);
  const written = await journal.append(record);
  if (written !== 'too_large') return written;
  return journal.append({
    ...record,
    value: null,
    headers: { ...record.headers, postern_truncated: 'value' },
  });
}

function letterRecord(origin: Origin, workflow: string, failure: Failure, topic: string): LogRecord {
  const now = new Date().toISOString();
  return {
    topic,
    key: origin.key,
    value: origin.value,
    headers: {
      ...origin.headers,
      postern_reason: failure.reason,
      postern_status: '',
      postern_attempts: '0',
      postern_subscription: workflow,
      ...(failure.step === null ? {} : { postern_step: failure.step }),
      postern_topic: origin.topic,
      postern_partition: String(origin.partition ?? 0),
      postern_offset: String(origin.offset ?? 0),
      postern_timestamp: String(origin.timestamp ?? Date.now()),
      postern_first_time: now,
      postern_last_time: now,
      postern_error: excerpt(failure.detail),
    },
  };
}

/** Part of it may be a function's answer: no line breaks into somebody's log. */
export function excerpt(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(DETAIL_BYTES));
  return text
    .slice(0, read)
    .toWellFormed()
    .replace(/[\u0000-\u001f\u007f]+/g, ' ');
}
