import type { Partition, StoredRecord } from './event-log.ts';

/** Part of a partition: from the offset `from` to before the offset `end`. */
export interface Range extends Partition {
  from: number;
  end: number;
}

/** Reads the records that the log holds now, without a group, and leaves no trace in the log. */
export interface LogReader {
  /**
   * The ranges that a topic holds, one per partition in the order of their numbers; empty when there is no such topic.
   * With `time` (milliseconds since 1970), each range begins at the first record of this time or later.
   */
  ranges(topic: string, time?: number): Promise<Range[]>;
  /**
   * Gives the records of these ranges to `sink`, in batches, each partition in order; offsets without a record are left
   * out. Waits for the sink, and stops when it resolves with false. Rejects when the log does not answer.
   */
  read(ranges: readonly Range[], sink: (records: StoredRecord[]) => Promise<boolean>): Promise<void>;
}
