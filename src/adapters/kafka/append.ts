import kafkajs, { CompressionTypes, type Producer } from 'kafkajs';
import type { KafkaConfig } from '../../config.ts';
import type { AppendVerdict, LogRecord } from '../../ports/event-log.ts';
import { carry } from './carry.ts';
import { type Client, kafkaClient, type OnLog, within } from './client.ts';
import { plan, type Round } from './plan.ts';
import { rootCause, type TopicInfo } from './topics.ts';

// Node finds only some of kafkajs' names in its CommonJS.
const { KafkaJSNonRetriableError } = kafkajs;

/** Milliseconds for one send with all its retries: enough for a leader to move or a broker to start again. */
const SEND_MS = 12_000;
/** Some 7 s in all, each try up to 1 s after the one before. */
const SEND_RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 10 };
const CONNECT_MS = 5_000;
/** Whoever waits for an append has closed before; what is left is the spool's, which keeps its records. */
const CLOSE_MS = 1_000;
/** Sequence numbers have 31 bits, and kafkajs wraps them one too early. */
const RECORDS_PER_PRODUCER = 1_000_000_000;

export interface TopicAppenderOptions {
  topic: string;
  config: KafkaConfig;
  onLog: OnLog;
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
 * It has to, because kafkajs then counts its sequence numbers back though the broker may have stored the
 * batch: the next one under the same numbers would be acknowledged as a duplicate and not be stored.
 */
export class TopicAppender {
  readonly #options: TopicAppenderOptions;
  #info: TopicInfo | null = null;
  #open: OpenProducer | null = null;
  #opening: Promise<OpenProducer | null> | null = null;
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

  /** One send; false when some of it is not known to be stored. */
  async #send(open: OpenProducer, round: Round, verdicts: AppendVerdict[]): Promise<boolean> {
    const { topic, config, onLog } = this.#options;
    let left = 0;
    for (const { records } of round.values()) left += records.length;
    open.records += left;
    const messages = carry(round, config.compression, open.check);
    let failure: unknown = null;
    try {
      await within(SEND_MS, async () => {
        // When a partition moves between retries to a broker that has answered, kafkajs leaves it out and resolves.
        while (!messages.isDone) {
          await open.producer.send({
            topic,
            messages,
            acks: -1,
            timeout: 5_000,
            compression: config.compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None,
          });
        }
      });
    } catch (error) {
      failure = error;
    }
    for (const [partition, { places }] of round) {
      if (!messages.isStored(partition)) continue;
      left -= places.length;
      for (const place of places) verdicts[place] = 'stored';
    }
    if (failure !== null) {
      this.#discard();
      this.#info = null;
      this.error = rootCause(failure);
      onLog('error', 'append failed', { topic, error: this.error.message, records: left });
      this.#options.onTrouble();
      return left === 0;
    }
    this.error = null;
    if (open.records > RECORDS_PER_PRODUCER) this.#discard();
    return true;
  }

  /** The producer, or null when there is none now; between two tries to get one the answer comes at once. */
  async #ready(): Promise<OpenProducer | null> {
    if (this.#closed || Date.now() < this.#retryAt) return null;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<OpenProducer | null> {
    const { topic, config, load, onLog } = this.#options;
    let open: OpenProducer | null = null;
    try {
      this.#info ??= await load(topic);
      open = openProducer(config, onLog);
      const { producer } = open;
      await within(CONNECT_MS, () => producer.connect());
      this.#open = open;
      return open;
    } catch (error) {
      open?.discard();
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

interface OpenProducer {
  producer: Producer;
  /** Sent so far. */
  records: number;
  /** Throws when it has been discarded. */
  check(): void;
  /** Ends it at once: nothing is sent any more. */
  discard(): void;
}

function openProducer(config: KafkaConfig, onLog: OnLog): OpenProducer {
  const client: Client = kafkaClient(config, onLog, SEND_RETRY);
  let discarded = false;
  return {
    producer: client.kafka.producer({ idempotent: true, allowAutoTopicCreation: false }),
    records: 0,
    check: () => {
      if (discarded) throw new KafkaJSNonRetriableError('producer is discarded');
    },
    discard: () => {
      discarded = true;
      client.destroy();
    },
  };
}
