import type { Partition, StoredRecord } from './event-log.ts';

/** Part of a partition: `end` is the offset after the last one. */
export interface Range extends Partition {
  from: number;
  end: number;
}

/** Reads what the log holds now, without a group and without leaving a trace. */
export interface LogReader {
  /**
   * All that a topic holds, one range per partition in the order of their numbers; of a topic that is not
   * there: none. With `time` (milliseconds since 1970), each from the first record that is of it or later.
   */
  ranges(topic: string, time?: number): Promise<Range[]>;
  /**
   * Gives the records of these ranges to `sink`, in batches, each partition in order; what is missing in
   * the log is left out. Waits for the sink, and stops when it answers false. Rejects when the log does not answer.
   */
  read(ranges: readonly Range[], sink: (records: StoredRecord[]) => Promise<boolean>): Promise<void>;
}
