/**
 * The keywords that code of our own checks instead of ajv's, by name: each makes the check from the keyword's value.
 * Code of schemas that were compiled ahead calls them by these names.
 *
 * ajv's equality calls `valueOf` and `toString` members out of the payload, its `uniqueItems` compares all pairs, its
 * lengths count every character, and its `multipleOf` finds that 19.99 is no multiple of 0.01.
 */
export const KEYWORD_CHECKS = {
  const: (value: unknown) => isOneOf([value]),
  enum: (values: unknown[]) => isOneOf(values),
  uniqueItems: (isWanted: boolean) => (isWanted ? areUnique : () => true),
  multipleOf: (divisor: number) => isMultipleOf(divisor),
  // Characters are code points (JSON Schema validation, 6.3.1).
  maxLength: (limit: number) => (text: string) => codePoints(text) <= limit,
  minLength: (limit: number) => (text: string) => codePoints(text) >= limit,
};

function codePoints(text: string): number {
  return [...text].length;
}

function isOneOf(values: unknown[]): (value: unknown) => boolean {
  const plain = new Set(values.filter((value) => !isContainer(value)));
  const containers = new Set(values.filter(isContainer).map(canonical));
  if (containers.size === 0) return (value) => plain.has(value);
  return (value) => plain.has(value) || (isContainer(value) && containers.has(canonical(value)));
}

function areUnique(items: unknown[]): boolean {
  const plain = new Set<unknown>();
  const containers = new Set<string>();
  for (const item of items) {
    const seen: Set<unknown> = isContainer(item) ? containers : plain;
    const form = isContainer(item) ? canonical(item) : item;
    if (seen.has(form)) return false;
    seen.add(form);
  }
  return true;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The same text for equal JSON values, whatever the order of their members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isContainer(value)) return typeof value === 'string' ? JSON.stringify(value) : String(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical((value as Record<string, unknown>)[name])}`).join()}}`;
}

function isMultipleOf(divisor: number): (value: number) => boolean {
  if (Number.isInteger(divisor)) return (value) => value % divisor === 0;
  const [digits, exponent] = decimal(divisor);
  return (value) => {
    const [valueDigits, valueExponent] = decimal(value);
    const scale = Math.min(exponent, valueExponent);
    const up = (of: bigint, by: number) => of * 10n ** BigInt(by - scale);
    return up(valueDigits, valueExponent) % up(digits, exponent) === 0n;
  };
}

/** The number as it is written: digits times ten to the exponent. Exponents stay within ±325. */
function decimal(value: number): [bigint, number] {
  const [mantissa = '0', exponent = '0'] = String(value).split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return [BigInt(whole + fraction), Number(exponent) - fraction.length];
}
