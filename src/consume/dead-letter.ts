import { excerpt } from '../function/excerpt.ts';
import type { LogRecord, Position } from '../ports/event-log.ts';
import type { Outbox, WriteOutcome } from './outbox.ts';

/** A record that was given up, on its way to a dead-letter topic. */
export interface DeadLetter {
  /** The dead-letter topic. */
  topic: string;
  record: LogRecord & Position & { timestamp: number };
  /** The subscription, or the workflow and perhaps its step, that gave it up. */
  origin: { name: string; step: string | null };
  reason: string;
  status: number | null;
  attempts: number;
  /** The first attempt and the last, in milliseconds since 1970. */
  firstTime: number;
  lastTime: number;
  /** An error text; only its beginning is kept. */
  detail: string;
}

/** The header that names the earlier dead letters of an event. */
export const LINEAGE = 'postern_lineage';
/** The parts that are left out of a letter that is too large, one step after the other. */
const CUTS = [null, 'value', 'value, key and headers'] as const;

/**
 * Stores a dead letter, without its value or with our own headers only when it is too large. The last form of it is
 * tried until the topic takes it: it is the only trace of the record.
 */
export async function storeDeadLetter(outbox: Outbox, letter: DeadLetter): Promise<WriteOutcome> {
  for (const cut of CUTS) {
    const written = await outbox.append(deadLetterRecord(letter, cut), cut === CUTS[2]);
    if (written !== 'too_large') return written;
  }
  return 'dropped';
}

/** The record as it was, with the reason and history of its failure in `postern_` headers. Times are RFC 3339. */
function deadLetterRecord(letter: DeadLetter, cut: (typeof CUTS)[number]): LogRecord {
  const { topic, record, origin, status } = letter;
  const isBare = cut === CUTS[2];
  const lineage = record.headers[LINEAGE];
  return {
    topic,
    key: isBare ? null : record.key,
    value: cut === null ? record.value : null,
    headers: {
      ...(isBare ? lineage !== undefined && { [LINEAGE]: lineage } : record.headers),
      postern_reason: letter.reason,
      postern_status: status === null ? '' : String(status),
      postern_attempts: String(letter.attempts),
      postern_subscription: origin.name,
      ...(origin.step !== null && { postern_step: origin.step }),
      postern_topic: record.topic,
      postern_partition: String(record.partition),
      postern_offset: String(record.offset),
      // As a number: not every timestamp of a record is a date.
      postern_timestamp: String(record.timestamp),
      postern_first_time: new Date(letter.firstTime).toISOString(),
      postern_last_time: new Date(letter.lastTime).toISOString(),
      postern_error: excerpt(letter.detail),
      ...(cut !== null && { postern_truncated: cut }),
    },
  };
}
