import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import {
  type ConsumeOptions,
  type Partition,
  type Position,
  partitionName,
  type Start,
} from '../../../ports/event-log.ts';

export interface StartOptions extends Pick<ConsumeOptions, 'from' | 'starts'> {
  admin: Admin;
  group: string;
  topics: string[];
  /** Topics that this process has read. One that has no committed offset is a new topic of the same name. */
  readBefore: ReadonlySet<string>;
  /** Whether this member leads the group's present generation. */
  isLeader: boolean;
  assigned: Partition[];
  commit(positions: Position[]): Promise<void>;
}

/** Milliseconds that a follower waits for the leader's commits. A leader that is another kind of client makes none. */
const LEADER_MS = 3_000;

/**
 * Where to start each assigned partition: at the group's committed offset. A partition without one gets one, which is
 * committed at once so that no later record can be missed. It is `from` when the group never read the topic, and the
 * earliest record when the partition was added or the topic was made again since.
 *
 * The leader alone decides, for all partitions. Two members that decide on their own would take each other's first
 * commits for a sign that the group has read the topic before.
 */
export async function startPositions(options: StartOptions): Promise<Position[]> {
  const { admin, group, topics, assigned, isLeader, commit } = options;
  const until = Date.now() + LEADER_MS;
  for (;;) {
    const committed = await admin.fetchOffsets({ groupId: group, topics });
    const offsets = new Map<string, number>();
    const missing: Partition[] = [];
    for (const { topic, partitions } of committed) {
      for (const { partition, offset } of partitions) {
        // Negative: none, or kafkajs' mark for one that was out of range.
        if (Number(offset) >= 0) offsets.set(partitionName({ topic, partition }), Number(offset));
        else missing.push({ topic, partition });
      }
    }
    const names = new Set(assigned.map(partitionName));
    const ours = missing.filter((one) => names.has(partitionName(one)));
    if (isLeader || Date.now() > until) {
      const found = await newPositions(options, isLeader ? missing : ours, offsets);
      if (found.length > 0) await commit(found);
      for (const one of found) offsets.set(partitionName(one), one.offset);
    } else if (ours.length > 0) {
      await sleep(100);
      continue;
    }
    return assigned.map((one) => {
      const offset = offsets.get(partitionName(one));
      if (offset === undefined) throw new Error(`no position for ${partitionName(one)}`);
      return { ...one, offset };
    });
  }
}

/** The offset that `start` means, by partition. Where no record is as young as a time: the one after the newest. */
export async function startOffsets(admin: Admin, topic: string, start: Start): Promise<Map<number, number>> {
  if (typeof start === 'object') {
    const found = await admin.fetchTopicOffsetsByTimestamp(topic, start.time);
    return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]));
  }
  const bound = start === 'latest' ? 'high' : 'low';
  return new Map((await admin.fetchTopicOffsets(topic)).map((one) => [one.partition, Number(one[bound])]));
}

async function newPositions(
  { admin, from, starts, readBefore }: StartOptions,
  missing: Partition[],
  offsets: Map<string, number>,
): Promise<Position[]> {
  const positions: Position[] = [];
  for (const [topic, partitions] of Map.groupBy(missing, (one) => one.topic)) {
    const known =
      readBefore.has(topic) ||
      [...offsets.keys()].some((key) => key.slice(0, key.lastIndexOf('/')) === topic);
    const found = await startOffsets(admin, topic, known ? 'earliest' : (starts?.[topic] ?? from));
    for (const { partition } of partitions) {
      positions.push({ topic, partition, offset: found.get(partition)! });
    }
  }
  return positions;
}
