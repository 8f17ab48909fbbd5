/** Counts of events by what was done with them. */
export interface Tally {
  events: number;
  emitted: number;
  late: number;
  future: number;
  full: number;
  tooManyHops: number;
  keyless: number;
}

export function emptyTally(): Tally {
  return { events: 0, emitted: 0, late: 0, future: 0, full: 0, tooManyHops: 0, keyless: 0 };
}

export function isEmpty(tally: Tally): boolean {
  return Object.values(tally).every((count) => count === 0);
}
