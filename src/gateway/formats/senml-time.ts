import { addDecimals, type Decimal, decimalText, floorTo, parseDecimal } from './decimal.ts';

/** Times nearer to 0 than this count from now (RFC 8428 4.5.3), in s. */
const RELATIVE = 2 ** 28;
/** Seconds beyond the year 9999, and the exponent of a fraction of a second that is finer than any clock's. */
const LARGEST = 1e12;
const FINEST = -40;
/** Years 1 to 9999 in ms. */
const EARLIEST = -62_135_596_800_000n;
const LATEST = 253_402_300_799_999n;

/** The time of a record. */
export interface Time {
  /** Seconds since 1970, exactly. */
  text: string;
  seconds: number;
  /** RFC 3339. */
  date: string;
  /** Resolved from the moment of receipt. */
  relative: boolean;
}

/** Exact sum of two JSON numbers; null when one is too long to count with. */
export function added(a: string, b: string): string | null {
  const [one, other] = [parseDecimal(a), parseDecimal(b)];
  const sum = one === null || other === null ? null : addDecimals(one, other);
  return sum === null ? null : decimalText(sum);
}

/** The moment that a sum of `bt` and `t` in s means; null outside the years 1 to 9999. */
export function absolute(offset: string, receivedAt: string): Time | null {
  let value: Decimal | null = parseDecimal(offset);
  const size = Math.abs(Number(offset));
  // No sender means such a number as a time, and exact arithmetic with it costs much.
  if (value === null || size > LARGEST || value.exponent < FINEST) return null;
  const relative = size < RELATIVE;
  if (relative) value = addDecimals(value, { digits: BigInt(Date.parse(receivedAt)), exponent: -3 });
  if (value === null) return null;
  const ms = floorTo(value, -3);
  if (ms < EARLIEST || ms > LATEST) return null;
  const finer = floorTo(value, -9) - ms * 1_000_000n;
  let date = new Date(Number(ms)).toISOString();
  if (finer > 0n) date = date.replace('Z', `${String(finer).padStart(6, '0')}Z`);
  const text = decimalText(value);
  return { text, seconds: Number(text), date, relative };
}
