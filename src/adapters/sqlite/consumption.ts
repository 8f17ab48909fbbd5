import type { Consumption, Partition, Position, RecordSink } from '../../ports/event-log.ts';
import type { Tables, Topic } from './tables.ts';

/** Limits of one delivery, so that it holds the event loop for a few ms at most. */
const BATCH_RECORDS = 500;
const BATCH_BYTES = 4 * 1024 * 1024;

/** A topic that this reader of its group has. */
interface HeldTopic {
  topic: Topic;
  partition: Partition;
  /** The next offset to deliver. */
  next: number;
  paused: boolean;
  /** Whether the sink knows of it. */
  announced: boolean;
}

export interface SqliteConsumptionOptions {
  group: string;
  sink: RecordSink;
  tables: Tables;
  commit(group: string, positions: { topic: Topic; next: number }[]): void;
  /** Called when the reader has given its topics up: they go to the group's next reader. */
  released(): void;
  onError(error: Error): void;
}

/** One running reader of a group. It gets each topic that no other reader of its group has, now or later. */
export class SqliteConsumption implements Consumption {
  readonly #options: SqliteConsumptionOptions;
  readonly #held = new Map<string, HeldTopic>();
  #scheduled = false;
  #stopping: Promise<void> | null = null;

  constructor(options: SqliteConsumptionOptions) {
    this.#options = options;
  }

  /** Gives the topic to this reader, from the offset `next` on. */
  hold(topic: Topic, next: number): void {
    const partition = { topic: topic.name, partition: 0 };
    this.#held.set(topic.name, { topic, partition, next, paused: false, announced: false });
    this.wake();
  }

  /** Delivers new records soon, if there are any. */
  wake(): void {
    if (this.#scheduled || this.#stopping !== null) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#stopping === null) this.#deliver();
    });
  }

  async commit(positions: Position[]): Promise<void> {
    const { group, commit } = this.#options;
    commit(
      group,
      positions.map(({ topic: name, offset }) => {
        const held = this.#held.get(name);
        if (held === undefined) throw new Error(`Topic ${name} is not held by this reader of ${group}`);
        return { topic: held.topic, next: offset };
      }),
    );
  }

  pause(partitions: Partition[]): void {
    this.#setPaused(partitions, true);
  }

  resume(partitions: Partition[]): void {
    this.#setPaused(partitions, false);
    this.wake();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    try {
      if ([...this.#held.values()].some((held) => held.announced)) await this.#options.sink.revoked();
    } finally {
      this.#held.clear();
      this.#options.released();
    }
  }

  #setPaused(partitions: Partition[], paused: boolean): void {
    for (const { topic } of partitions) {
      const held = this.#held.get(topic);
      if (held !== undefined) held.paused = paused;
    }
  }

  /** Announces new topics, then delivers one batch of each topic that has something. */
  #deliver(): void {
    const { sink } = this.#options;
    try {
      const fresh = [...this.#held.values()].filter((held) => !held.announced);
      for (const held of fresh) held.announced = true;
      if (fresh.length > 0)
        sink.assigned(fresh.map(({ partition, next }) => ({ ...partition, offset: next })));
      for (const held of this.#held.values()) {
        if (this.#stopping === null && !held.paused && held.next < held.topic.next) this.#deliverOne(held);
      }
    } catch (error) {
      for (const held of this.#held.values()) held.paused = true;
      sink.failed(error as Error);
    }
  }

  #deliverOne(held: HeldTopic): void {
    const { group, sink, tables, onError } = this.#options;
    const { topic, partition } = held;
    const records = tables.read(topic, partition, held.next, BATCH_RECORDS, BATCH_BYTES);
    const first = records[0]?.offset ?? topic.next;
    if (first > held.next) {
      const lost = `Group ${group} missed ${first - held.next} records of topic ${topic.name}`;
      onError(new Error(`${lost}: retention removed them before they were read`));
    }
    held.next = (records.at(-1)?.offset ?? topic.next - 1) + 1;
    if (records.length > 0) sink.records(partition, records, topic.next);
    if (held.next < topic.next && !held.paused) this.wake();
  }
}
