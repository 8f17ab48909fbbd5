import type { AppendVerdict, LogRecord } from '../../../ports/event-log.ts';
import { rootCause, within } from './failures.ts';
import type { OnLog } from './on-log.ts';
import { type Batches, plan, type TopicInfo } from './plan.ts';

/** Milliseconds for one send with all its retries: enough for a leader to move or a broker to start again. */
const SEND_MS = 12_000;
const CONNECT_MS = 5_000;
/** Milliseconds that `close` waits: callers of `append` have gone by then, and the spool keeps its own records. */
const CLOSE_MS = 1_000;
/** Sequence numbers have 31 bits. kafkajs wraps them one too early, our own code never wraps them. */
const RECORDS_PER_PRODUCER = 1_000_000_000;

/** An idempotent producer of one topic. After a send that failed it must be discarded. */
export interface TopicProducer {
  connect(): Promise<void>;
  /** Sends each partition's batch, after those of the sends before. */
  send(batches: Batches): Sending;
  /** Closes the connections at once: nothing is sent any more. */
  discard(): void;
}

export interface Sending {
  /** Resolves when all records are stored. */
  done: Promise<void>;
  /** Whether a broker has acknowledged all records of a partition. */
  isStored(partition: number): boolean;
}

export interface TopicAppenderOptions {
  topic: string;
  onLog: OnLog;
  open(topic: string): Promise<TopicProducer>;
  /** Asks the broker about the topic; rejects when it gives no answer. */
  load(topic: string): Promise<TopicInfo>;
  /** Called when an append failed. */
  onTrouble(): void;
}

/**
 * Appends to one topic. Each topic has its own producer, for three reasons. kafkajs sends one request at a time to a
 * broker when idempotent, so topics would wait for each other. One topic that is gone fails the metadata requests for
 * all. And a producer is discarded when a send failed.
 *
 * It must be discarded because it would use the sequence numbers of the failed batch again. The broker may have stored
 * that batch; it would then acknowledge the next one as a duplicate and not store it.
 */
export class TopicAppender {
  readonly #options: TopicAppenderOptions;
  #info: TopicInfo | null = null;
  #open: TopicProducer | null = null;
  /** Records sent by the open producer. */
  #sent = 0;
  #opening: Promise<TopicProducer | null> | null = null;
  #retryAt = 0;
  /** Partition of the last append's records without key. */
  #sticky = Math.floor(Math.random() * 1000);
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Why the last append or contact failed; null when it went well. */
  error: Error | null = null;

  constructor(options: TopicAppenderOptions) {
    this.#options = options;
  }

  /** Takes over the broker's newest answer about the topic. */
  update(info: TopicInfo | Error): void {
    if (info instanceof Error) {
      this.error = info;
      return;
    }
    this.#info = info;
    this.error = null;
    this.#retryAt = 0;
  }

  /**
   * Appends records of this topic, after those of earlier calls. The verdict of `records[i]` is written to
   * `verdicts[indexes[i]]`; a record that is not stored keeps the verdict it has there.
   */
  append(records: LogRecord[], indexes: number[], verdicts: AppendVerdict[]): Promise<void> {
    const done = this.#last.then(() => this.#append(records, indexes, verdicts));
    this.#last = done;
    return done;
  }

  /** Waits a moment for the append in flight. Later appends fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await within(CLOSE_MS, () => Promise.all([this.#last, this.#opening])).catch(() => {});
    this.#discard();
  }

  async #append(records: LogRecord[], indexes: number[], verdicts: AppendVerdict[]): Promise<void> {
    const open = this.#open ?? (await this.#ready());
    if (open === null) return;
    const { sends, tooLarge } = plan(records, indexes, this.#info!, this.#nextSticky());
    for (const index of tooLarge) verdicts[index] = 'too_large';
    // Stops at the first send that fails: otherwise later records would overtake its own.
    for (const batches of sends) if (!(await this.#send(open, batches, verdicts))) return;
  }

  /** Sends once; false when that failed, and the producer is discarded. */
  async #send(open: TopicProducer, batches: Batches, verdicts: AppendVerdict[]): Promise<boolean> {
    const { topic, onLog } = this.#options;
    let left = 0;
    for (const { records } of batches.values()) left += records.length;
    this.#sent += left;
    const sending = open.send(batches);
    let failure: unknown = null;
    try {
      await within(SEND_MS, () => sending.done);
    } catch (error) {
      failure = error;
    }
    for (const [partition, { indexes }] of batches) {
      if (!sending.isStored(partition)) continue;
      left -= indexes.length;
      for (const index of indexes) verdicts[index] = 'stored';
    }
    if (failure !== null) {
      this.#discard();
      this.#info = null;
      this.error = rootCause(failure);
      onLog('error', 'append failed', { topic, error: this.error.message, records: left });
      this.#options.onTrouble();
      return false;
    }
    this.error = null;
    if (this.#sent > RECORDS_PER_PRODUCER) this.#discard();
    return true;
  }

  /** The producer, or null when there is none now. Between two attempts to open one the answer comes at once. */
  async #ready(): Promise<TopicProducer | null> {
    if (this.#closed || Date.now() < this.#retryAt) return null;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<TopicProducer | null> {
    const { topic, load, onLog } = this.#options;
    let producer: TopicProducer | null = null;
    try {
      const opened = await this.#options.open(topic);
      producer = opened;
      this.#info ??= await load(topic);
      await within(CONNECT_MS, () => opened.connect());
      this.#open = opened;
      this.#sent = 0;
      return opened;
    } catch (error) {
      producer?.discard();
      this.error = rootCause(error);
      this.#retryAt = Date.now() + 500 + Math.random() * 1_000;
      onLog('warn', 'topic cannot be appended to', { topic, error: this.error.message });
      return null;
    }
  }

  #discard(): void {
    this.#open?.discard();
    this.#open = null;
  }

  #nextSticky(): number {
    this.#sticky = (this.#sticky + 1) % this.#info!.partitions;
    return this.#sticky;
  }
}
