import {
  type Consumption,
  type EventLog,
  type LogRecord,
  type Partition,
  type Position,
  partitionName,
  type RecordSink,
  type Start,
  type StoredRecord,
} from '../../src/ports/event-log.ts';

/** Milliseconds. */
const LIMIT_MS = 60_000;

/** A sink that keeps its records, and that can be awaited. */
export class Collector implements RecordSink {
  readonly seen: StoredRecord[] = [];
  /** The partitions that are assigned now, by name. */
  readonly partitions = new Map<string, Partition>();
  /** The offset at which a partition began, by its name. */
  readonly begins = new Map<string, number>();
  /** The newest `end` of a partition, by its name. */
  readonly ends = new Map<string, number>();
  revocations = 0;
  error: Error | null = null;
  /** Called for each delivery. */
  onRecords: (partition: Partition, records: StoredRecord[]) => void = () => {};
  /** Called when the partitions are about to be given up. */
  onRevoked: () => Promise<void> = async () => {};
  #changed: (() => void)[] = [];

  assigned(partitions: Position[]): void {
    for (const { offset, ...partition } of partitions) {
      this.partitions.set(partitionName(partition), partition);
      this.begins.set(partitionName(partition), offset);
    }
    this.#wake();
  }

  records(partition: Partition, records: StoredRecord[], end: number): void {
    this.ends.set(partitionName(partition), end);
    this.seen.push(...records);
    this.onRecords(partition, records);
    this.#wake();
  }

  async revoked(): Promise<void> {
    await this.onRevoked();
    this.revocations++;
    this.partitions.clear();
    this.#wake();
  }

  failed(error: Error): void {
    this.error = error;
    this.#wake();
  }

  /** Resolves as soon as `done` holds. Rejects when reading failed, and after a minute with the text of the condition. */
  async until(done: () => boolean): Promise<void> {
    // Made here, so that its stack has the line of the test.
    const late = new Error(`waited ${LIMIT_MS / 1000} s in vain for: ${done}`);
    const { promise: limit, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(reject, LIMIT_MS, late);
    try {
      while (!done()) {
        if (this.error !== null) throw this.error;
        await Promise.race([limit, new Promise<void>((resolve) => this.#changed.push(resolve))]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when at least one partition of each topic is ours. */
  async ready(topics: string[]): Promise<void> {
    const held = (topic: string) => [...this.partitions.values()].some((one) => one.topic === topic);
    await this.until(() => topics.every(held));
  }

  /** Resolves when there are `count` records; returns their values as text, in order of arrival. */
  async values(count: number): Promise<string[]> {
    await this.until(() => this.seen.length >= count);
    return this.seen.map(text);
  }

  /** The positions after the records so far. */
  positions(): Position[] {
    const next = new Map<string, Position>();
    for (const { topic, partition, offset } of this.seen) {
      next.set(partitionName({ topic, partition }), { topic, partition, offset: offset + 1 });
    }
    return [...next.values()];
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}

/** Starts a reader of a group; resolves when it has partitions of every topic. */
export async function collect(
  log: EventLog,
  group: string,
  topics: string[],
  from: Start = 'earliest',
  starts: Record<string, Start> = {},
): Promise<{ collector: Collector; consumption: Consumption }> {
  const collector = new Collector();
  const consumption = await log.consume({ group, topics, from, starts }, collector);
  await collector.ready(topics);
  return { collector, consumption };
}

/** A record's value as text. */
export function text(record: { value: Uint8Array | null }): string {
  return record.value === null ? 'null' : Buffer.from(record.value).toString();
}

/** A record to append. */
export function record(
  topic: string,
  value: string | Uint8Array | null,
  key: string | null = null,
  headers: LogRecord['headers'] = {},
): LogRecord {
  return { topic, key, value: typeof value === 'string' ? Buffer.from(value) : value, headers };
}
