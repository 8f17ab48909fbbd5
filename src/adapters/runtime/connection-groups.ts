import { addPlaced, removePlaced } from '../../core/placed.ts';
import { BUSY, type Connection, type Group, IDLE, LEAVING, type Rank, SILENT } from './connection.ts';

export interface ConnectionLimits {
  /** Milliseconds in which a head must have come, from its first byte or from the connect. */
  headTime: number;
  /** At once, all together. */
  total: number;
  /** Connections of one address at once. An IPv6 address counts by its /64. */
  perAddress: number;
  /** Whether an address stands for many clients and has no cap of its own. */
  isExempt(address: string): boolean;
}

const RANKS: Rank[] = [LEAVING, SILENT, IDLE, BUSY];

/** A group with nobody in it yet. */
export function newGroup(key: string, exempt: boolean): Group {
  return { key, exempt, members: [], counts: [0, 0, 0, 0] };
}

/** All connections by address; lists and counters only, since every request changes a rank. */
export class ConnectionGroups {
  readonly all = new Map<string, Group>();
  size = 0;

  add(member: Connection): void {
    const { group } = member;
    if (group.members.length === 0) this.all.set(group.key, group);
    addPlaced(group.members, member);
    group.counts[member.rank]!++;
    this.size++;
  }

  delete(member: Connection): void {
    if (member.place < 0) return;
    const { members, counts, key } = member.group;
    removePlaced(members, member);
    member.place = -1;
    counts[member.rank]!--;
    this.size--;
    if (members.length === 0) this.all.delete(key);
  }

  move(member: Connection, rank: Rank, now: number): void {
    const { counts } = member.group;
    counts[member.rank]!--;
    counts[rank]!++;
    member.rank = rank;
    member.since = now;
  }

  /**
   * The connection that gives way to a new one: the oldest of the lowest rank, of the group, or with null of the group that
   * has most of that rank. A busy one gives way only while it waits for its client. Null when there is none.
   */
  victim(group: Group | null, now: number): Connection | null {
    for (const rank of RANKS) {
      const from = group ?? this.#most(rank);
      const found = from === null || from.counts[rank] === 0 ? null : oldest(from, rank, now);
      if (found !== null) return found;
    }
    return null;
  }

  /** Exempt groups come last: they are large because they stand for many. */
  #most(rank: Rank): Group | null {
    let most: Group | null = null;
    for (const group of this.all.values()) {
      const count = group.counts[rank]!;
      if (count === 0) continue;
      if (most === null || (most.exempt && !group.exempt)) most = group;
      else if (most.exempt === group.exempt && count > most.counts[rank]!) most = group;
    }
    return most;
  }
}

function oldest({ members }: Group, rank: Rank, now: number): Connection | null {
  let found: Connection | null = null;
  for (const member of members) {
    if (member.rank !== rank || (found !== null && member.since >= found.since)) continue;
    if (rank !== BUSY || member.isStuck(now)) found = member;
  }
  return found;
}
