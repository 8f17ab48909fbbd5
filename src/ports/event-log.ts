/** Header values: text in records to write, bytes in records that were read. */
export type RecordHeaders = Record<string, string | Uint8Array>;

/** A record to append. */
export interface LogRecord {
  topic: string;
  key: string | Uint8Array | null;
  value: Uint8Array | null;
  headers: RecordHeaders;
  /** The partition that it goes to; without it the key decides. A log with one partition ignores it. */
  toPartition?: number;
}

/** Marks a record of which a copy may be in the log already: its id was not checked, or an append failed before. */
export function markUnchecked({ headers }: LogRecord): void {
  headers.ce_dedupe = 'unchecked';
}

/** A record as read from the log. */
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
 * stored. `failed`: perhaps stored, perhaps not; the caller answers `retry`.
 */
export type AppendVerdict = 'stored' | 'too_large' | 'failed';

export interface Partition {
  topic: string;
  partition: number;
}

/** A place in a partition: `offset` is that of the next record to read. */
export type Position = Partition & { offset: number };

/** Takes the records that a group's reader reads. */
export interface RecordSink {
  /** Partitions that this reader has from now on, and where they begin. It holds no records of them from before. */
  assigned(partitions: Position[]): void;
  /**
   * Records of one partition in offset order. `end` is the offset after the newest record of the
   * partition. Must return at once; `pause` stops the flow.
   */
  records(partition: Partition, records: StoredRecord[], end: number): void;
  /** The partitions are about to be given up: finish or drop the records in work, then commit. */
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
  /** Calls `revoked`, gives the partitions up and stops reading. */
  stop(): Promise<void>;
}

/** `time`: the first record that is of this time or later, in milliseconds since 1970. */
export type Start = 'earliest' | 'latest' | { time: number };

export interface ConsumeOptions {
  /** Readers of one group share the partitions. */
  group: string;
  topics: string[];
  /** Where a group without a position starts. The position is committed at once. */
  from: Start;
  /** By topic, where it starts instead of `from`. */
  starts?: Readonly<Record<string, Start>> | undefined;
  /** Ends the reading as `stop` does, also before it has begun: joining a group can take half a minute. */
  signal?: AbortSignal | undefined;
}

export interface Appender {
  /** One verdict per record, in the same order. Does not throw for an expected failure. */
  append(records: LogRecord[]): Promise<AppendVerdict[]>;
}

/** The log of events: Kafka, or SQLite when embedded. */
export interface EventLog extends Appender {
  consume(options: ConsumeOptions, sink: RecordSink): Promise<Consumption>;
  /** Null when records can be appended, else the reason why not. */
  problem(): string | null;
  close(): Promise<void>;
}

/** The name of a partition, `topic/partition`: a key of maps, and part of stored state. */
export function partitionName({ topic, partition }: Partition): string {
  return `${topic}/${partition}`;
}
