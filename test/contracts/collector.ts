import type {
  Consumption,
  EventLog,
  Partition,
  Position,
  RecordSink,
  Start,
  StoredRecord,
} from '../../src/ports/event-log.ts';
import { within } from '../services/until.ts';

/** A sink that keeps what it is given and tells when something has come. */
export class Collector implements RecordSink {
  readonly seen: StoredRecord[] = [];
  /** What is assigned now, as `topic/partition`. */
  readonly partitions = new Map<string, Partition>();
  /** Where they began when they were assigned. */
  readonly begins = new Map<string, number>();
  /** The newest `end` by `topic/partition`. */
  readonly ends = new Map<string, number>();
  revocations = 0;
  error: Error | null = null;
  /** Called for each delivery, before anybody who waits is told. */
  onRecords: (partition: Partition, records: StoredRecord[]) => void = () => {};
  /** Called when the partitions are about to be given up. */
  onRevoked: () => Promise<void> = async () => {};
  #changed: (() => void)[] = [];

  assigned(partitions: Position[]): void {
    for (const { topic, partition, offset } of partitions) {
      this.partitions.set(`${topic}/${partition}`, { topic, partition });
      this.begins.set(`${topic}/${partition}`, offset);
    }
    this.#tell();
  }

  records(partition: Partition, records: StoredRecord[], end: number): void {
    this.ends.set(`${partition.topic}/${partition.partition}`, end);
    this.seen.push(...records);
    this.onRecords(partition, records);
    this.#tell();
  }

  async revoked(): Promise<void> {
    await this.onRevoked();
    this.revocations++;
    this.partitions.clear();
    this.#tell();
  }

  failed(error: Error): void {
    this.error = error;
    this.#tell();
  }

  /** Resolves as soon as `done` holds. Rejects when reading failed, and after a minute without a change. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.error !== null) throw this.error;
      await within(String(done), new Promise<void>((resolve) => this.#changed.push(resolve)));
    }
  }

  /** Resolves when at least one partition of each topic is ours. */
  async ready(topics: string[]): Promise<void> {
    const held = (topic: string) => [...this.partitions.values()].some((one) => one.topic === topic);
    await this.until(() => topics.every(held));
  }

  /** Resolves when `count` records have come in all; returns their values as text, in order of arrival. */
  async values(count: number): Promise<string[]> {
    await this.until(() => this.seen.length >= count);
    return this.seen.map(text);
  }

  /** The positions after everything that has come. */
  positions(): Position[] {
    const next = new Map<string, Position>();
    for (const { topic, partition, offset } of this.seen) {
      next.set(`${topic}/${partition}`, { topic, partition, offset: offset + 1 });
    }
    return [...next.values()];
  }

  #tell(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}

/** A running consumer of the log and what it collects, with partitions of every topic already held. */
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
