/**
 * Lists whose members know their index, so that a member is removed without a search. They are not Sets: when a Set
 * grows, V8 lets its old table point to the new one. Once an old table is in the old generation, it keeps all later
 * members alive until the next full collection.
 */
export interface Placed {
  /** Where it is in its list. */
  place: number;
}

export function addPlaced<T extends Placed>(list: T[], member: T): void {
  member.place = list.push(member) - 1;
}

/** Removes a member of the list; the last member moves to its place. */
export function removePlaced<T extends Placed>(list: T[], member: T): void {
  const last = list.pop()!;
  if (last === member) return;
  list[member.place] = last;
  last.place = member.place;
}
