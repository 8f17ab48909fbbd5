import { attributeReader, structuredEvent } from '../cloudevents/attribute-reader.ts';
import { isDateTime } from '../core/date-time.ts';
import type { StoredRecord } from '../ports/event-log.ts';

const reader = attributeReader('time');
const ZERO = 0x30;
const DAY_MS = 86_400_000;

/** The event's attribute `time` in ms since 1970; null when it has none, or one that is not RFC 3339. */
export function eventTime(record: StoredRecord): number | null {
  const event = structuredEvent(record);
  const bytes = reader.bytes(record, event);
  const quick = bytes === null ? null : plainTime(bytes);
  if (quick !== null) return quick;
  const text = reader.text(record, event);
  return text !== undefined && isDateTime(text) ? wholeTime(text) : null;
}

/** Reads the form that nearly all clients write, `2026-03-01T08:30:00Z` with or without milliseconds; null for any other. */
function plainTime(bytes: Uint8Array): number | null {
  const { length } = bytes;
  if ((length !== 20 && length !== 24) || bytes[length - 1] !== 0x5a || bytes[10] !== 0x54) return null;
  if (bytes[4] !== 0x2d || bytes[7] !== 0x2d || bytes[13] !== 0x3a || bytes[16] !== 0x3a) return null;
  if (length === 24 && bytes[19] !== 0x2e) return null;
  const [month, day] = [two(bytes, 5), two(bytes, 8)];
  const [hour, minute, second] = [two(bytes, 11), two(bytes, 14), two(bytes, 17)];
  // Special cases, such as a leap second or the end of a month, are left to `wholeTime`.
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= 28)) return null;
  if (!(hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60)) return null;
  const year = two(bytes, 0) * 100 + two(bytes, 2);
  const ms = length === 24 ? two(bytes, 20) * 10 + bytes[22]! - ZERO : 0;
  if (!(year >= 1970 && ms >= 0)) return null;
  return daysOf(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
}

/** Two decimal digits, or a number that is out of every range. */
function two(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - ZERO;
  const ones = bytes[at + 1]! - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -10_000;
}

/** Days from 1970 to a date of the Gregorian calendar. It counts years from March, so that a leap day ends a year. */
function daysOf(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const century = Math.floor(y / 100);
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return y * 365 + Math.floor(y / 4) - century + Math.floor(century / 4) + dayOfYear - 719_468;
}

/** For `Date.parse`, which knows no leap seconds and needs an upper-case `T`. */
function wholeTime(text: string): number | null {
  const isLeap = text.slice(17, 19) === '60';
  const time = Date.parse((isLeap ? `${text.slice(0, 17)}59${text.slice(19)}` : text).toUpperCase());
  if (Number.isNaN(time)) return null;
  return isLeap ? time + 1000 : time;
}
