import { excerpt } from '../function/excerpt.ts';
import type { LogRecord, RecordHeaders } from '../ports/event-log.ts';
import type { Journal, WriteOutcome } from './journal.ts';
import type { Failure } from './state.ts';

/** The record that a dead letter is made of, with its position if it was stored. */
interface FailedRecord {
  topic: string;
  partition?: number;
  offset?: number;
  timestamp?: number;
  key: string | Uint8Array | null;
  value: Uint8Array | null;
  headers: RecordHeaders;
}

/**
 * Stores a record that a workflow could not handle as a dead letter, with the headers that the dead letters of
 * subscriptions have; without its value when it is too large.
 */
export async function storeLetter(
  journal: Journal,
  failed: FailedRecord,
  workflow: string,
  failure: Failure,
  topic: string,
): Promise<WriteOutcome> {
  const record = letterRecord(failed, workflow, failure, topic);
  const written = await journal.append(record);
  if (written !== 'too_large') return written;
  return journal.append({
    ...record,
    value: null,
    headers: { ...record.headers, postern_truncated: 'value' },
  });
}

function letterRecord(failed: FailedRecord, workflow: string, failure: Failure, topic: string): LogRecord {
  const now = new Date().toISOString();
  return {
    topic,
    key: failed.key,
    value: failed.value,
    headers: {
      ...failed.headers,
      postern_reason: failure.reason,
      postern_status: '',
      postern_attempts: '0',
      postern_subscription: workflow,
      ...(failure.step === null ? {} : { postern_step: failure.step }),
      postern_topic: failed.topic,
      postern_partition: String(failed.partition ?? 0),
      postern_offset: String(failed.offset ?? 0),
      postern_timestamp: String(failed.timestamp ?? Date.now()),
      postern_first_time: now,
      postern_last_time: now,
      postern_error: excerpt(failure.detail),
    },
  };
}
