import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import type { ConsumeOptions, Partition, Position, Start } from '../../../ports/event-log.ts';

export interface StartOptions extends Pick<ConsumeOptions, 'from' | 'starts'> {
  admin: Admin;
  group: string;
  topics: string[];
  /** Topics that we have read before: without a position they are other topics of the same name now. */
  held: ReadonlySet<string>;
  /** Whether we lead the group's present generation. */
  leader: boolean;
  assigned: Partition[];
  commit(positions: Position[]): Promise<void>;
}

/** Milliseconds that a follower gives the leader; if it is another kind of client it will not commit for us. */
const LEADER_MS = 3_000;

/**
 * Where to start each assigned partition: where the group is committed. What has no position gets one
 * that is committed at once, so that nothing which comes later can be missed: as `from` says when the
 * group never read the topic, at the earliest record when the partition was added or the topic made again
 * since. The leader alone does so, for all partitions: two members that decide on their own would take each
 * other's first positions for a sign that the group has read the topic before.
 */
export async function startPositions(options: StartOptions): Promise<Position[]> {
  const { admin, group, topics, assigned, leader, commit } = options;
  const until = Date.now() + LEADER_MS;
  for (;;) {
    const committed = await admin.fetchOffsets({ groupId: group, topics });
    const offsets = new Map<string, number>();
    const missing: Partition[] = [];
    for (const { topic, partitions } of committed) {
      for (const { partition, offset } of partitions) {
        // Negative: none, or kafkajs' mark for one that was out of range.
        if (Number(offset) >= 0) offsets.set(`${topic}/${partition}`, Number(offset));
        else missing.push({ topic, partition });
      }
    }
    const held = new Set(assigned.map(({ topic, partition }) => `${topic}/${partition}`));
    const ours = missing.filter(({ topic, partition }) => held.has(`${topic}/${partition}`));
    const late = Date.now() > until;
    if (leader || late) {
      const found = await newPositions(options, late && !leader ? ours : missing, offsets);
      if (found.length > 0) await commit(found);
      for (const { topic, partition, offset } of found) offsets.set(`${topic}/${partition}`, offset);
    } else if (ours.length > 0) {
      await sleep(100);
      continue;
    }
    return assigned.map(({ topic, partition }) => {
      const offset = offsets.get(`${topic}/${partition}`);
      if (offset === undefined) throw new Error(`no position for ${topic}/${partition}`);
      return { topic, partition, offset };
    });
  }
}

/** Offset by partition; where no record is as young as a time, the one after the newest. */
export async function startOffsets(admin: Admin, topic: string, start: Start): Promise<Map<number, number>> {
  if (typeof start === 'object') {
    const found = await admin.fetchTopicOffsetsByTimestamp(topic, start.time);
    return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]));
  }
  const bound = start === 'latest' ? 'high' : 'low';
  return new Map((await admin.fetchTopicOffsets(topic)).map((one) => [one.partition, Number(one[bound])]));
}

async function newPositions(
  { admin, from, starts, held }: StartOptions,
  missing: Partition[],
  offsets: Map<string, number>,
): Promise<Position[]> {
  const positions: Position[] = [];
  for (const [topic, partitions] of Map.groupBy(missing, (one) => one.topic)) {
    const known =
      held.has(topic) || [...offsets.keys()].some((key) => key.slice(0, key.lastIndexOf('/')) === topic);
    const found = await startOffsets(admin, topic, known ? 'earliest' : (starts?.[topic] ?? from));
    for (const { partition } of partitions) {
      positions.push({ topic, partition, offset: found.get(partition)! });
    }
  }
  return positions;
}
