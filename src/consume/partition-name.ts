import type { Partition } from '../ports/event-log.ts';

/** The name of a partition, `topic/partition`: a key of maps, and part of stored state. */
export function partitionName({ topic, partition }: Partition): string {
  return `${topic}/${partition}`;
}
