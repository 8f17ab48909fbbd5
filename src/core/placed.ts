/**
 * Lists whose members know their place, so that one is taken out at once. They are no Sets: each time a Set makes
 * itself a new table, V8 lets the old one point to it, and once one of them is in the old generation, all that is ever
 * added lives until the next full collection.
 */
export interface Placed {
  /** Where it is in its list. */
  place: number;
}

export function addPlaced<T extends Placed>(list: T[], member: T): void {
  member.place = list.push(member) - 1;
}

/** Takes out a member of the list; the last one takes its place. */
export function removePlaced<T extends Placed>(list: T[], member: T): void {
  const last = list.pop()!;
  if (last === member) return;
  list[member.place] = last;
  last.place = member.place;
}
