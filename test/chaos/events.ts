/** The schema that every 50th event does not meet. */
export const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['id', 'n', 'lane'],
  properties: { n: { type: 'integer' }, lane: { enum: ['a', 'b'] } },
};

export function isValid(n: number): boolean {
  return n % 50 !== 7;
}

/** Whether the subscription with the filter wants it. */
export function isLaneB(n: number): boolean {
  return n % 4 === 0;
}

/** Whether the function refuses it for good. */
export function isPoison(n: number): boolean {
  return n % 96 === 8;
}

export function idOf(n: number): string {
  return `e-${n}`;
}

/** The number of an id that `idOf` made; NaN for others. */
export function numberOf(id: string): number {
  return id.startsWith('e-') ? Number(id.slice(2)) : Number.NaN;
}

/** The bytes of an event, the same each time, with what a parser would change: a number over 53 bits, odd spaces. */
export function textOf(n: number): string {
  const value = isValid(n) ? String(n) : `"${n}"`;
  return `{"id":"${idOf(n)}", "n":${value},"lane":"${isLaneB(n) ? 'b' : 'a'}","device":"d${n % 17}","big":9007199254740993${n}}`;
}

/** The first number of the second source; those of the first are below. */
export const FIRST_OF_SIDE = 1_000_000_000;

export function isSide(n: number): boolean {
  return n >= FIRST_OF_SIDE;
}

/** The id of a record that no client of ours has sent. */
export const STRANGER = 'stranger';
