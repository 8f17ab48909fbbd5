/** What a part did with events. */
export interface Tally {
  events: number;
  emitted: number;
  late: number;
  future: number;
  keyless: number;
}

export function emptyTally(): Tally {
  return { events: 0, emitted: 0, late: 0, future: 0, keyless: 0 };
}

export function isEmpty({ events, emitted, late, future, keyless }: Tally): boolean {
  return events + emitted + late + future + keyless === 0;
}
