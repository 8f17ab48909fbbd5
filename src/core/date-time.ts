/** RFC 3339 dates and times. Many are checked for each event, so characters are compared: regular expressions cost more. */

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** RFC 3339 full-date. */
export function isDate(text: string): boolean {
  return text.length === 10 && hasDate(text);
}

/** RFC 3339 full-time: it must have an offset, and a leap second must be in the last minute of a UTC day. */
export function isTime(text: string): boolean {
  return hasTime(text, 0);
}

/** RFC 3339 date-time; `T` and `Z` may be lower-case, and a space may not stand for `T`. */
export function isDateTime(text: string): boolean {
  const separator = text.charCodeAt(10);
  return (separator === 0x54 || separator === 0x74) && hasDate(text) && hasTime(text, 11);
}

function hasDate(text: string): boolean {
  const century = twoDigits(text, 0);
  const year = twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  if (century < 0 || year < 0 || month < 1 || month > 12 || day < 1) return false;
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d) return false;
  const leap = year === 0 ? century % 4 === 0 : year % 4 === 0;
  return day <= (month === 2 && leap ? 29 : DAYS[month - 1]!);
}

function hasTime(text: string, at: number): boolean {
  const hour = twoDigits(text, at);
  const minute = twoDigits(text, at + 3);
  const second = twoDigits(text, at + 6);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  if (text.charCodeAt(at + 2) !== 0x3a || text.charCodeAt(at + 5) !== 0x3a) return false;
  let zone = at + 8;
  if (text.charCodeAt(zone) === 0x2e) {
    const fraction = ++zone;
    while (digit(text, zone) >= 0) zone++;
    if (zone === fraction) return false;
  }
  const offset = offsetAt(text, zone);
  if (Number.isNaN(offset)) return false;
  return second < 60 || (((hour * 60 + minute - offset) % 1440) + 1440) % 1440 === 1439;
}

/** The offset from `at` to the end of the text, in minutes east of UTC; NaN when there is none. */
function offsetAt(text: string, at: number): number {
  const sign = text.charCodeAt(at);
  if ((sign === 0x5a || sign === 0x7a) && text.length === at + 1) return 0;
  if ((sign !== 0x2b && sign !== 0x2d) || text.length !== at + 6 || text.charCodeAt(at + 3) !== 0x3a)
    return Number.NaN;
  const hours = twoDigits(text, at + 1);
  const minutes = twoDigits(text, at + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN;
  return (hours * 60 + minutes) * (sign === 0x2d ? -1 : 1);
}

/** The number of two decimal digits, or -1. */
function twoDigits(text: string, at: number): number {
  const tens = digit(text, at);
  const ones = digit(text, at + 1);
  return tens < 0 || ones < 0 ? -1 : 10 * tens + ones;
}

/** The value of a decimal digit, or -1. */
function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - 0x30;
  return value >= 0 && value <= 9 ? value : -1;
}
