/** What a part did with events. */
export interface Tally {
  events: number;
  emitted: number;
  late: number;
  future: number;
  full: number;
  keyless: number;
}

export function emptyTally(): Tally {
  return { events: 0, emitted: 0, late: 0, future: 0, full: 0, keyless: 0 };
}

export function isEmpty({ events, emitted, late, future, full, keyless }: Tally): boolean {
  return events + emitted + late + future + full + keyless === 0;
}
