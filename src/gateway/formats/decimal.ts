/** A decimal number, exactly: `digits * 10 ** exponent`. */
export interface Decimal {
  digits: bigint;
  exponent: number;
}

/** Characters of a number, and its largest exponent: both far beyond those of a double. */
const MAX_NUMBER_LENGTH = 400;
/** Digits that a sum may have: a double has 17, and work grows with their square. */
const MAX_DIGITS = 64;
const NUMBER = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** The value of a JSON number's text; null when it is too long or too large to count with. */
export function parseDecimal(text: string): Decimal | null {
  if (text.length > MAX_NUMBER_LENGTH) return null;
  const [, whole, fraction = '', power = '0'] = NUMBER.exec(text)!;
  const exponent = Number(power) - fraction.length;
  return Math.abs(exponent) > MAX_NUMBER_LENGTH ? null : { digits: BigInt(whole! + fraction), exponent };
}

/** Null when the two are too far apart to be added exactly at a low price. */
export function addDecimals(a: Decimal, b: Decimal): Decimal | null {
  if (a.digits === 0n) return b;
  if (b.digits === 0n) return a;
  if (Math.max(end(a), end(b)) - Math.min(a.exponent, b.exponent) > MAX_DIGITS) return null;
  const exponent = Math.min(a.exponent, b.exponent);
  return { digits: scaled(a, exponent) + scaled(b, exponent), exponent };
}

/** The exponent of the power of ten above its first digit; one more for a negative number. */
function end({ digits, exponent }: Decimal): number {
  return exponent + String(digits).length;
}

/** The largest whole number of `10 ** exponent` that is not above the value. */
export function floorTo(value: Decimal, exponent: number): bigint {
  if (value.exponent >= exponent) return scaled(value, exponent);
  const unit = 10n ** BigInt(exponent - value.exponent);
  const rest = value.digits % unit;
  return (value.digits - rest) / unit - (rest < 0n ? 1n : 0n);
}

/** Without an exponent, and without zeros that say nothing. */
export function decimalText({ digits, exponent }: Decimal): string {
  if (exponent >= 0) return String(scaled({ digits, exponent }, 0));
  const sign = digits < 0n ? '-' : '';
  const text = String(digits < 0n ? -digits : digits).padStart(1 - exponent, '0');
  const fraction = text.slice(exponent).replace(/0+$/, '');
  return sign + text.slice(0, exponent) + (fraction === '' ? '' : `.${fraction}`);
}

function scaled({ digits, exponent }: Decimal, to: number): bigint {
  return digits * 10n ** BigInt(exponent - to);
}
