import { isEventTime } from '../../cloudevents/attributes.ts';
import type { JsonMerge } from '../../json/merge.ts';

const YEAR_0 = Date.parse('0000-01-01T00:00:00Z');
const YEAR_10000 = 253_402_300_800_000;

/**
 * Sets receivedAt, and timestamp to the time by our clock: receivedAt - (sentAt - originalTimestamp). The timestamp
 * that was sent becomes originalTimestamp. Returns the timestamp.
 */
export function correctTimes(draft: JsonMerge, batchSentAt: number | null, receivedAt: string): string {
  const { timestamp, originalTimestamp, sentAt } = draft.json;
  const original = millis(originalTimestamp) ?? millis(timestamp);
  const sent = millis(sentAt) ?? batchSentAt;
  let time = receivedAt;
  if (original !== null && sent !== null) time = textAt(Date.parse(receivedAt) - (sent - original)) ?? time;
  else if (original !== null)
    time = (millis(originalTimestamp) === null ? timestamp : originalTimestamp) as string;
  const moved = sent !== null || time !== timestamp;
  const isSent = timestamp !== undefined && timestamp !== null;
  if (isSent && moved && (originalTimestamp ?? null) === null) {
    // A number keeps its text: it may be one that no double holds.
    if (typeof timestamp === 'string') draft.set('originalTimestamp', timestamp);
    else draft.set('originalTimestamp', timestamp, draft.sent('timestamp')!);
  }
  if (time !== timestamp) draft.set('timestamp', time);
  draft.set('receivedAt', receivedAt);
  return time;
}

/** Milliseconds since 1970 of an RFC 3339 date-time; null for all else. */
export function millis(value: unknown): number | null {
  if (typeof value !== 'string' || !isEventTime(value)) return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}

function textAt(ms: number): string | null {
  return ms >= YEAR_0 && ms < YEAR_10000 ? new Date(ms).toISOString() : null;
}
