import type { Consumption, Partition, RecordSink } from '../../ports/event-log.ts';
import type { Tables, Topic } from './tables.ts';

/** One delivery holds the event loop for a few ms at most. */
const BATCH_RECORDS = 500;
const BATCH_BYTES = 4 * 1024 * 1024;

interface Held {
  topic: Topic;
  partition: Partition;
  /** The next offset to deliver. */
  next: number;
  paused: boolean;
  announced: boolean;
}

/** What a reader needs of its log. */
export interface ReaderHost {
  tables: Tables;
  commit(group: string, positions: { topic: Topic; next: number }[]): void;
  /** The reader no longer wants its topics: they go to the next of the group. */
  released(reader: Reader): void;
  onError(error: Error): void;
}

/** One running consumer. Holds each topic that no reader of its group held before; the rest when they are given up. */
export class Reader implements Consumption {
  readonly group: string;
  readonly #sink: RecordSink;
  readonly #host: ReaderHost;
  readonly #held = new Map<string, Held>();
  #scheduled = false;
  #stopping: Promise<void> | null = null;

  constructor(group: string, sink: RecordSink, host: ReaderHost) {
    this.group = group;
    this.#sink = sink;
    this.#host = host;
  }

  /** Makes the topic this reader's own; it is delivered from `next` on. */
  hold(topic: Topic, next: number): void {
    const partition = { topic: topic.name, partition: 0 };
    this.#held.set(topic.name, { topic, partition, next, paused: false, announced: false });
    this.wake();
  }

  /** There may be something to deliver. */
  wake(): void {
    if (this.#scheduled || this.#stopping !== null) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#stopping === null) this.#deliver();
    });
  }

  async commit(positions: (Partition & { offset: number })[]): Promise<void> {
    this.#host.commit(
      this.group,
      positions.map(({ topic: name, offset }) => {
        const held = this.#held.get(name);
        if (held === undefined) throw new Error(`Topic ${name} is not held by this reader of ${this.group}`);
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
      if ([...this.#held.values()].some((held) => held.announced)) await this.#sink.revoked();
    } finally {
      this.#held.clear();
      this.#host.released(this);
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
    try {
      const fresh = [...this.#held.values()].filter((held) => !held.announced);
      for (const held of fresh) held.announced = true;
      if (fresh.length > 0)
        this.#sink.assigned(fresh.map(({ partition, next }) => ({ ...partition, offset: next })));
      for (const held of this.#held.values()) {
        if (this.#stopping === null && !held.paused && held.next < held.topic.next) this.#deliverOne(held);
      }
    } catch (error) {
      for (const held of this.#held.values()) held.paused = true;
      this.#sink.failed(error as Error);
    }
  }

  #deliverOne(held: Held): void {
    const { topic, partition } = held;
    const records = this.#host.tables.read(topic, partition, held.next, BATCH_RECORDS, BATCH_BYTES);
    const first = records[0]?.offset ?? topic.next;
    if (first > held.next) {
      const lost = `Group ${this.group} missed ${first - held.next} records of topic ${topic.name}`;
      this.#host.onError(new Error(`${lost}: retention removed them before they were read`));
    }
    held.next = (records.at(-1)?.offset ?? topic.next - 1) + 1;
    if (records.length > 0) this.#sink.records(partition, records, topic.next);
    if (held.next < topic.next && !held.paused) this.wake();
  }
}
