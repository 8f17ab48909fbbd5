/** RFC 3339 dates and times, by reading characters: both are checked for every event, and expressions cost more. */

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** RFC 3339 full-date. */
export function isDate(text: string): boolean {
  return text.length === 10 && hasDate(text);
}

/** RFC 3339 full-time: an offset is a must, and a leap second is in the last minute of a UTC day. */
export function isTime(text: string): boolean {
  return hasTime(text, 0);
}

/** RFC 3339 date-time; `T` and `Z` may be lower-case, a space is no `T`. */
export function isDateTime(text: string): boolean {
  const separator = text.charCodeAt(10);
  return (separator === 0x54 || separator === 0x74) && hasDate(text) && hasTime(text, 11);
}

function hasDate(text: string): boolean {
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1) return false;
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= (month === 2 && leap ? 29 : DAYS[month - 1]!);
}

function hasTime(text: string, at: number): boolean {
  const hour = digits(text, at, 2);
  const minute = digits(text, at + 3, 2);
  const second = digits(text, at + 6, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  if (text.charCodeAt(at + 2) !== 0x3a || text.charCodeAt(at + 5) !== 0x3a) return false;
  let zone = at + 8;
  if (text.charCodeAt(zone) === 0x2e) {
    const fraction = ++zone;
    while (digits(text, zone, 1) >= 0) zone++;
    if (zone === fraction) return false;
  }
  const offset = offsetAt(text, zone);
  if (Number.isNaN(offset)) return false;
  return second < 60 || (((hour * 60 + minute - offset) % 1440) + 1440) % 1440 === 1439;
}

/** Minutes east of UTC that the rest of the text says; NaN when it is no offset. */
function offsetAt(text: string, at: number): number {
  const sign = text.charCodeAt(at);
  if ((sign === 0x5a || sign === 0x7a) && text.length === at + 1) return 0;
  if ((sign !== 0x2b && sign !== 0x2d) || text.length !== at + 6 || text.charCodeAt(at + 3) !== 0x3a)
    return Number.NaN;
  const hours = digits(text, at + 1, 2);
  const minutes = digits(text, at + 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN;
  return (hours * 60 + minutes) * (sign === 0x2d ? -1 : 1);
}

/** The number of `count` decimal digits, or -1. */
function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}
