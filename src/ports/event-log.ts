/** Header values are text when we write them and bytes when they were read. */
export type RecordHeaders = Record<string, string | Uint8Array>;

/** A record to append. */
export interface LogRecord {
  topic: string;
  key: string | Uint8Array | null;
  value: Uint8Array | null;
  headers: RecordHeaders;
  /** The partition that it goes to; else its key decides. A log of one partition does not look at it. */
  toPartition?: number;
}

/** A record as read back. */
export interface StoredRecord extends LogRecord {
  key: Uint8Array | null;
  headers: Record<string, Uint8Array>;
  partition: number;
  offset: number;
  /** Milliseconds since 1970. */
  timestamp: number;
}

/**
 * `stored`: on disk as the log promises (Kafka: acks=all). `too_large`: over the topic's own limit, not
 * stored. `failed`: not known to be stored; the caller says `retry`.
 */
export type AppendVerdict = 'stored' | 'too_large' | 'failed';

export interface Partition {
  topic: string;
  partition: number;
}

/** A place in the log: `offset` is the next one to read. */
export type Position = Partition & { offset: number };

/** Takes what a subscription reads. */
export interface RecordSink {
  /** Partitions that are ours from now on, and where they begin. Nothing of them is held any more from before. */
  assigned(partitions: Position[]): void;
  /**
   * Records of one partition in offset order. `end` is the offset after the newest record of the
   * partition. Must return at once: use `pause` to hold the partition.
   */
  records(partition: Partition, records: StoredRecord[], end: number): void;
  /** The partitions are about to be given up: finish or drop what is in work, then commit. */
  revoked(): Promise<void>;
  /** Reading stopped with an error and will not go on by itself. */
  failed(error: Error): void;
}

/** One running reader of a group. */
export interface Consumption {
  /** Stores positions. */
  commit(positions: Position[]): Promise<void>;
  pause(partitions: Partition[]): void;
  resume(partitions: Partition[]): void;
  /** Gives the partitions up (after `revoked`) and stops reading. */
  stop(): Promise<void>;
}

/** `time`: the first record that is of this time or later, in milliseconds since 1970. */
export type Start = 'earliest' | 'latest' | { time: number };

export interface ConsumeOptions {
  /** Readers of one group share the partitions. */
  group: string;
  topics: string[];
  /** Where a group starts that has no position yet. The position is committed at once. */
  from: Start;
  /** Topics where it starts elsewhere. */
  starts?: Readonly<Record<string, Start>> | undefined;
  /** Ends the reading, as `stop` does, also while it has not begun yet: joining a group can take half a minute. */
  signal?: AbortSignal | undefined;
}

export interface Appender {
  /** One verdict per record, in the same order. Does not throw for an expected failure. */
  append(records: LogRecord[]): Promise<AppendVerdict[]>;
}

/** The log of events: Kafka, or SQLite when embedded. */
export interface EventLog extends Appender {
  consume(options: ConsumeOptions, sink: RecordSink): Promise<Consumption>;
  /** Null when records can be appended, else what is wrong. */
  problem(): string | null;
  close(): Promise<void>;
}

/** A name of a partition for maps and messages: `topic/partition`. */
export function partitionName({ topic, partition }: Partition): string {
  return `${topic}/${partition}`;
}
