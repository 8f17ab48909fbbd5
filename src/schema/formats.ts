import { fullFormats } from 'ajv-formats/dist/formats.js';

export type FormatCheck = (text: string) => boolean;

// Some of these expressions backtrack over long texts; nothing valid is longer (RFC 3696, errata 1690).
const LONGEST_EMAIL = 320;
// Compiling a pattern of the sender's choice costs time; no real one comes near.
const LONGEST_REGEX = 4096;

const BORROWED = [
  'duration', 'uri', 'uri-reference', 'uri-template', 'hostname', 'ipv4', 'ipv6', 'uuid', 'json-pointer',
  'relative-json-pointer',
] as const; // biome-ignore format: a list

/**
 * The formats that are checked, in all drafts. Others (the internationalized ones, those of OpenAPI) are
 * annotations.
 */
export function formatChecks(): Map<string, FormatCheck> {
  const checks = new Map<string, FormatCheck>();
  for (const name of BORROWED) {
    const format = fullFormats[name];
    if (format instanceof RegExp) checks.set(name, (text) => format.test(text));
    else if (typeof format === 'function') checks.set(name, (text) => format(text) === true);
    else throw new Error(`format ${name} has changed its kind`);
  }
  const email = fullFormats.email as RegExp;
  checks.set('email', (text) => text.length <= LONGEST_EMAIL && email.test(text));
  checks.set('regex', isRegex);
  checks.set('date', isDate);
  checks.set('time', isTime);
  checks.set('date-time', isDateTime);
  return checks;
}

function isRegex(text: string): boolean {
  if (text.length > LONGEST_REGEX) return false;
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:z|([+-])(\d{2}):(\d{2}))$/i;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** RFC 3339 full-date. */
function isDate(text: string): boolean {
  const [, year, month, day] = DATE.exec(text)?.map(Number) ?? [];
  if (year === undefined || month === undefined || day === undefined) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && leap ? 29 : (DAYS[month - 1] ?? 0);
  return day >= 1 && day <= days;
}

/** RFC 3339 full-time: an offset is a must, and a leap second is in the last minute of a UTC day. */
function isTime(text: string): boolean {
  const match = TIME.exec(text);
  if (!match) return false;
  const hour = Number(match[1]);
  const minute = Number(match[2]);
  const second = Number(match[3]);
  const offsetHour = Number(match[5] ?? 0);
  const offsetMinute = Number(match[6] ?? 0);
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return false;
  if (second < 60) return true;
  const offset = (offsetHour * 60 + offsetMinute) * (match[4] === '-' ? -1 : 1);
  const utc = hour * 60 + minute - offset;
  return (utc + 1440) % 1440 === 1439;
}

/** RFC 3339 date-time, with T (or t) between date and time. */
function isDateTime(text: string): boolean {
  return (text[10] === 'T' || text[10] === 't') && isDate(text.slice(0, 10)) && isTime(text.slice(11));
}
