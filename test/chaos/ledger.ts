/** The verdict on one event that a client got for one request. `none`: no answer came. */
export type Heard = 'accepted' | 'duplicate' | 'rejected' | 'retry' | 'none';

/** Times are milliseconds since 1970. */
export interface Attempt {
  gateway: number;
  start: number;
  end: number;
  heard: Heard;
  /** The code that came with it. */
  code: string | null;
}

/** One record of an event in its topic. */
export interface Copy {
  /** When it was sent to the log. */
  time: number;
  /** Whether its header says that it may be there twice. */
  unchecked: boolean;
  /** Whether its value has the bytes that the client sent. */
  intact: boolean;
}

/** All that is known of one id. */
export interface Story {
  id: string;
  topic: string;
  valid: boolean;
  attempts: Attempt[];
  copies: Copy[];
  /** Records of it in the topic of rejected events. */
  kept: number;
}

/** A fault that was put in, from its beginning to its end. */
export interface Trouble {
  what:
    | 'gateway killed'
    | 'kafka'
    | 'topic deleted'
    | 'redis'
    | 'redis emptied'
    | 'redis evicts'
    | 'redis failed over';
  /** Number of the killed one. */
  gateway?: number;
  /** The only topic that it concerns. Absent: all. */
  topic?: string;
  from: number;
  to: number;
}

/** Why an id may be stored more than once. */
export type Cause =
  | 'unchecked'
  | 'gateway killed'
  | 'append unanswered'
  | 'redis emptied'
  | 'redis evicts'
  | 'redis failed over';

type Kept =
  | 'stored once'
  | 'stored again'
  | 'rejected and kept'
  | 'refused and absent'
  | 'refused and stored'
  | 'deleted with its topic';
export const BROKEN_PROMISES = [
  'acknowledged and missing',
  'duplicate of nothing',
  'stored twice without a cause',
  'accepted more often than stored',
  'rejected and not kept',
  'valid but rejected',
  'invalid but acknowledged',
  'invalid but stored',
  'altered',
  'never sent',
  'failed with another topic',
] as const;
export type Outcome = Kept | (typeof BROKEN_PROMISES)[number];

export interface Judgement {
  outcome: Outcome;
  /** One for each copy after the first. */
  causes: Cause[];
}

/** A group's ids are confirmed with the next group, or at once when there is none; this is far more. */
const CONFIRM_MS = 2_000;
/** An append that began in a fault of the log may fail that long after it. */
const APPEND_MS = 15_000;

/** Judges one id by the answers that clients heard and the records that are stored. */
export function judge(story: Story, all: readonly Trouble[]): Judgement {
  const { valid, attempts, copies, kept, topic } = story;
  const troubles = all.filter((trouble) => trouble.topic === undefined || trouble.topic === topic);
  // Records that were stored before their topic was deleted are gone, and their ids stay known.
  const deletable = attempts.filter((attempt) => wasDeleted(attempt, troubles));
  const lasting = attempts.filter((attempt) => !deletable.includes(attempt));
  const count = (heard: Heard, among = attempts) => among.filter((attempt) => attempt.heard === heard).length;
  const [accepted, duplicates, rejected] = [count('accepted'), count('duplicate'), count('rejected')];
  const acknowledged = accepted + duplicates > 0;
  const is = (outcome: Outcome, causes: Cause[] = []): Judgement => ({ outcome, causes });
  if (attempts.length === 0) return is('never sent');
  if (copies.some(({ intact }) => !intact)) return is('altered');
  if (!valid) {
    if (copies.length > 0) return is('invalid but stored');
    if (acknowledged) return is('invalid but acknowledged');
    if (rejected > 0) return is(kept > 0 ? 'rejected and kept' : 'rejected and not kept');
    return is(kept > 0 ? 'refused and stored' : 'refused and absent');
  }
  if (rejected > 0 || kept > 0) return is('valid but rejected');
  if (copies.length === 0) {
    if (count('accepted', lasting) > 0) return is('acknowledged and missing');
    if (acknowledged && deletable.length > 0) return is('deleted with its topic');
    return is(duplicates > 0 ? 'duplicate of nothing' : 'refused and absent');
  }
  if (count('accepted', lasting) > copies.length) return is('accepted more often than stored');
  if (failedInVain(attempts, all, troubles)) return is('failed with another topic');
  const sorted = copies.toSorted((a, b) => a.time - b.time);
  const causes: Cause[] = [];
  for (let i = 1; i < sorted.length; i++) {
    const cause = causeOf(sorted[i]!, sorted.slice(0, i), attempts, troubles);
    if (cause === null) return is('stored twice without a cause', causes);
    causes.push(cause);
  }
  if (!acknowledged) return is('refused and stored', causes);
  return is(causes.length > 0 ? 'stored again' : 'stored once', causes);
}

/** Whether an attempt may have stored what was deleted afterwards. */
export function wasDeleted({ start }: Attempt, troubles: readonly Trouble[]): boolean {
  return troubles.some(({ what, to }) => what === 'topic deleted' && start <= to);
}

/** Whether the log took an event not, though only the log of other topics was in trouble. */
function failedInVain(
  attempts: readonly Attempt[],
  all: readonly Trouble[],
  own: readonly Trouble[],
): boolean {
  if (!all.some(({ topic }) => topic !== undefined)) return false;
  return attempts.some(
    (attempt) => isUnanswered(attempt) && !own.some((trouble) => isDuring(attempt, trouble)),
  );
}

function isUnanswered({ heard, code }: Attempt): boolean {
  return heard === 'retry' && code === 'log_unavailable';
}

/** Whether an append of this attempt may have failed for that. */
function isDuring({ start, end }: Attempt, { from, to }: Trouble): boolean {
  return start <= to + APPEND_MS && end >= from;
}

/** Why there is this copy after those; null when nothing explains it. */
function causeOf(
  copy: Copy,
  before: readonly Copy[],
  attempts: readonly Attempt[],
  troubles: readonly Trouble[],
): Cause | null {
  if (copy.unchecked || before.every(({ unchecked }) => unchecked)) return 'unchecked';
  const earlier = attempts.filter(({ start }) => start <= copy.time);
  for (const trouble of troubles) {
    const { what, from, to, gateway } = trouble;
    if (what === 'gateway killed') {
      const unconfirmed = earlier.filter(
        (attempt) =>
          attempt.gateway === gateway && attempt.start <= from && from <= confirmedBy(attempt, troubles),
      );
      if (unconfirmed.length > 0) return 'gateway killed';
    } else if (what === 'kafka') {
      if (earlier.some((attempt) => isUnanswered(attempt) && isDuring(attempt, trouble)))
        return 'append unanswered';
    } else if (what === 'redis emptied') {
      if (copy.time >= from && before.some(({ time }) => time <= to)) return what;
    } else if (what === 'redis evicts') {
      // Claims are dropped, too, so that of two at once both are stored.
      if (copy.time >= from && before.some(({ time }) => time <= to + CONFIRM_MS)) return what;
    } else if (what === 'redis failed over') {
      // Ids that were not confirmed, or not replicated when it began, are forgotten.
      if (copy.time >= from && before.some(({ time }) => time >= from - CONFIRM_MS && time <= to))
        return what;
    }
  }
  return null;
}

/** When at the latest the ids of an attempt were confirmed, if its gateway lived. */
function confirmedBy({ end }: Attempt, troubles: readonly Trouble[]): number {
  let time = end + CONFIRM_MS;
  for (const { what, from, to } of troubles) {
    if (what === 'redis' && from <= time && to >= end - CONFIRM_MS) time = Math.max(time, to + CONFIRM_MS);
  }
  return time;
}

/** Judges the deliveries of one subscription. */
export interface Deliveries {
  /** Ids that are stored and wanted. */
  wanted: ReadonlySet<string>;
  /** Ids that may have been stored and deleted since; in `wanted` if stored again. */
  deleted: ReadonlySet<string>;
  /** How often the function took each. */
  delivered: ReadonlyMap<string, number>;
  /** How many dead letters there are of each. */
  dead: ReadonlyMap<string, number>;
}

export interface DeliveryCount {
  wanted: number;
  delivered: number;
  /** Deliveries beyond the first of each. */
  again: number;
  dead: number;
  /** Broken: neither delivered nor dead-lettered. */
  undelivered: string[];
  /** Broken: delivered or dead-lettered, but not stored or not wanted. */
  uninvited: string[];
}

/** Counts what a subscription made of its events. */
export function judgeDeliveries({ wanted, deleted, delivered, dead }: Deliveries): DeliveryCount {
  const count: DeliveryCount = {
    wanted: wanted.size,
    delivered: delivered.size,
    again: 0,
    dead: dead.size,
    undelivered: [...wanted].filter((id) => !delivered.has(id) && !dead.has(id)),
    uninvited: [...delivered.keys(), ...dead.keys()].filter((id) => !wanted.has(id) && !deleted.has(id)),
  };
  for (const times of delivered.values()) count.again += times - 1;
  return count;
}
