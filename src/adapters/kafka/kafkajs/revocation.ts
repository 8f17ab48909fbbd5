import type { Consumer } from 'kafkajs';
import type { Partition, RecordSink } from '../../../ports/event-log.ts';
import { rootCause, within } from '../core/failures.ts';
import type { OnLog } from '../core/on-log.ts';
import type { GroupTiming } from './waiting-consumer.ts';

export interface Revocation {
  group: string;
  sink: RecordSink;
  timing: GroupTiming;
  onLog: OnLog;
  consumer: Consumer;
  /** The partitions to give up. */
  partitions: Partition[];
  /** After a crash kafkajs' consumer takes no calls. */
  isCrashed(): boolean;
  /** Tells the group that we are still there. */
  heartbeat(): void;
}

/** Waits until the sink has finished, with heartbeats meanwhile. Gives up in time to join the group again. */
export async function finishWork(revocation: Revocation): Promise<void> {
  const { group, sink, timing, onLog, consumer, partitions, isCrashed, heartbeat } = revocation;
  const beat = setInterval(heartbeat, timing.heartbeat);
  // Some of the time had passed when we heard of the rebalance, and joining needs some.
  const limit = Math.max(timing.rebalance - 3 * timing.heartbeat, timing.rebalance / 2);
  try {
    // Otherwise batches that are dropped meanwhile would be fetched again and again.
    if (!isCrashed()) consumer.pause(byTopic(partitions));
    await within(limit, () => sink.revoked());
  } catch (error) {
    const cause = rootCause(error).message;
    onLog('warn', 'partitions given up before their work was finished', { group, error: cause });
  } finally {
    clearInterval(beat);
    if (!isCrashed()) consumer.resume(byTopic(partitions));
  }
}

/** Partitions in the form that kafkajs' `pause` and `resume` take. */
export function byTopic(partitions: Partition[]): { topic: string; partitions: number[] }[] {
  return partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] }));
}
