import {
  type ConsumeOptions,
  type Consumption,
  type EventLog,
  type Partition,
  type Position,
  partitionName,
  type RecordSink,
  type StoredRecord,
} from '../ports/event-log.ts';

export interface Bounds {
  /** Milliseconds since 1970: records of this time or later, and before `to` if that is not null. */
  from: number;
  to: number | null;
  /** The offset after the last record to be read, by `topic/partition`. */
  ends: ReadonlyMap<string, number>;
}

/** How far the replay of a partition has come. */
interface PartitionProgress {
  /** The next offset to be read. */
  next: number;
  /** The offset after the newest record that was passed on. */
  given: number;
  committed: number;
}

/** Shows only the records of a log that are of a time, up to where the log ended at the start. */
export class BoundedLog implements EventLog {
  readonly #log: EventLog;
  readonly #bounds: Bounds;
  readonly #partitions = new Map<string, PartitionProgress>();
  readonly #done = Promise.withResolvers<void>();
  /** Resolves when each assigned partition is read and committed to its end. */
  readonly done = this.#done.promise;
  isDone = false;

  constructor(log: EventLog, bounds: Bounds) {
    this.#log = log;
    this.#bounds = bounds;
  }

  append(...records: Parameters<EventLog['append']>): ReturnType<EventLog['append']> {
    return this.#log.append(...records);
  }

  async consume(options: ConsumeOptions, sink: RecordSink): Promise<Consumption> {
    const real = await this.#log.consume(
      { ...options, from: { time: this.#bounds.from } },
      this.#bounded(sink),
    );
    return {
      commit: async (positions) => {
        await real.commit(positions);
        for (const position of positions) {
          const progress = this.#partitions.get(partitionName(position));
          if (progress !== undefined) progress.committed = position.offset;
        }
        this.#check();
      },
      pause: (partitions) => real.pause(partitions),
      resume: (partitions) => real.resume(partitions),
      stop: () => real.stop(),
    };
  }

  problem(): string | null {
    return this.#log.problem();
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  #bounded(sink: RecordSink): RecordSink {
    return {
      assigned: (positions: Position[]) => {
        for (const one of positions)
          this.#partitions.set(partitionName(one), { next: one.offset, given: 0, committed: 0 });
        sink.assigned(positions);
        this.#check();
      },
      records: (partition: Partition, records: StoredRecord[], end: number) => {
        const progress = this.#partitions.get(partitionName(partition));
        if (progress === undefined) return;
        const wanted = records.filter((record) => this.#isWanted(record));
        progress.next = records.at(-1)!.offset + 1;
        if (wanted.length > 0) {
          progress.given = wanted.at(-1)!.offset + 1;
          sink.records(partition, wanted, end);
        }
        this.#check();
      },
      revoked: async () => {
        await sink.revoked();
        this.#partitions.clear();
      },
      failed: (error: Error) => sink.failed(error),
    };
  }

  #isWanted(record: StoredRecord): boolean {
    const { from, to, ends } = this.#bounds;
    const isInTime = record.timestamp >= from && (to === null || record.timestamp < to);
    return isInTime && record.offset < (ends.get(partitionName(record)) ?? 0);
  }

  #check(): void {
    if (this.isDone || this.#partitions.size === 0) return;
    for (const [key, { next, given, committed }] of this.#partitions) {
      if (next < (this.#bounds.ends.get(key) ?? 0) || committed < given) return;
    }
    this.isDone = true;
    this.#done.resolve();
  }
}
