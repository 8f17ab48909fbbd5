import type { AppendVerdict, LogRecord } from '../../../ports/event-log.ts';
import { type OnLog, within } from '../kafkajs/client.ts';
import { plan, type Round } from './plan.ts';
import { rootCause, type TopicInfo } from '../kafkajs/topics.ts';

/** Milliseconds for one send with all its retries: enough for a leader to move or a broker to start again. */
const SEND_MS = 12_000;
const CONNECT_MS = 5_000;
/** Whoever waits for an append has closed before; what is left is the spool's, which keeps its records. */
const CLOSE_MS = 1_000;
/** Sequence numbers have 31 bits; kafkajs wraps them one too early, and ours do not wrap. */
const RECORDS_PER_PRODUCER = 1_000_000_000;

/** What sends to one topic. Once a send failed it is thrown away. */
export interface TopicProducer {
  connect(): Promise<void>;
  /** Sends each partition's records, after those of the sends before. */
  send(round: Round): Sending;
  /** Ends it at once: nothing is sent any more. */
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
 * Appends to one topic. Each topic has its own producer, for three reasons: kafkajs sends one request at
 * a time to a broker when idempotent, so that topics would wait for each other; one topic that is gone
 * fails its metadata requests for all; and a producer that failed has to be thrown away.
 *
 * It has to, because it would use the sequence numbers of what failed again, though the broker may have stored the
 * batch: the next one under the same numbers would be acknowledged as a duplicate and not be stored.
 */
export class TopicAppender {
  readonly #options: TopicAppenderOptions;
  #info: TopicInfo | null = null;
  #open: TopicProducer | null = null;
  /** That went to the open producer. */
  #sent = 0;
  #opening: Promise<TopicProducer | null> | null = null;
  #retryAt = 0;
  #sticky = Math.floor(Math.random() * 1000);
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Why the last append or contact failed; null when it went well. */
  error: Error | null = null;

  constructor(options: TopicAppenderOptions) {
    this.#options = options;
  }

  /** Takes what the broker now says about the topic. */
  update(info: TopicInfo | Error): void {
    if (info instanceof Error) {
      this.error = info;
      return;
    }
    this.#info = info;
    this.error = null;
    this.#retryAt = 0;
  }

  /** Appends records of this topic, after those of the calls before, and writes each verdict at the record's place. */
  append(records: LogRecord[], places: number[], verdicts: AppendVerdict[]): Promise<void> {
    const done = this.#last.then(() => this.#append(records, places, verdicts));
    this.#last = done;
    return done;
  }

  /** Waits a moment for the append in flight, which then fails like later ones. */
  async close(): Promise<void> {
    this.#closed = true;
    await within(CLOSE_MS, () => Promise.all([this.#last, this.#opening])).catch(() => {});
    this.#discard();
  }

  async #append(records: LogRecord[], places: number[], verdicts: AppendVerdict[]): Promise<void> {
    const open = this.#open ?? (await this.#ready());
    if (open === null) return;
    const { rounds, tooLarge } = plan(records, places, this.#info!, this.#nextSticky());
    for (const place of tooLarge) verdicts[place] = 'too_large';
    // Stops at the first send that fails, so that nothing overtakes.
    for (const round of rounds) if (!(await this.#send(open, round, verdicts))) return;
  }

  /** One send; false when it failed, and the producer with it. */
  async #send(open: TopicProducer, round: Round, verdicts: AppendVerdict[]): Promise<boolean> {
    const { topic, onLog } = this.#options;
    let left = 0;
    for (const { records } of round.values()) left += records.length;
    this.#sent += left;
    const sending = open.send(round);
    let failure: unknown = null;
    try {
      await within(SEND_MS, () => sending.done);
    } catch (error) {
      failure = error;
    }
    for (const [partition, { places }] of round) {
      if (!sending.isStored(partition)) continue;
      left -= places.length;
      for (const place of places) verdicts[place] = 'stored';
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

  /** The producer, or null when there is none now; between two tries to get one the answer comes at once. */
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
