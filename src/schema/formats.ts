import { fullFormats } from 'ajv-formats/dist/formats.js';
import { isDate, isDateTime, isTime } from '../core/date-time.ts';

export type FormatCheck = (text: string) => boolean;

// Characters. The expression backtracks over long texts; no valid address is longer (RFC 3696, errata 1690).
const MAX_EMAIL = 320;
// Characters. The sender chooses the pattern, and compiling it costs time.
const MAX_REGEX = 4096;

const BORROWED = [
  'duration', 'uri', 'uri-reference', 'uri-template', 'hostname', 'ipv4', 'ipv6', 'uuid', 'json-pointer',
  'relative-json-pointer',
] as const; // biome-ignore format: a list

/** The formats that are checked, in all drafts. All others (internationalized ones, those of OpenAPI) are annotations. */
export function formatChecks(): Map<string, FormatCheck> {
  const checks = new Map<string, FormatCheck>();
  for (const name of BORROWED) {
    const format = fullFormats[name];
    if (format instanceof RegExp) checks.set(name, (text) => format.test(text));
    else if (typeof format === 'function') checks.set(name, (text) => format(text) === true);
    else throw new Error(`format ${name} has changed its kind`);
  }
  const email = fullFormats.email as RegExp;
  checks.set('email', (text) => text.length <= MAX_EMAIL && email.test(text));
  checks.set('regex', isRegex);
  checks.set('date', isDate);
  checks.set('time', isTime);
  checks.set('date-time', isDateTime);
  return checks;
}

function isRegex(text: string): boolean {
  if (text.length > MAX_REGEX) return false;
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}
