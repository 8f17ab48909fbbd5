import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  crc32c,
  createAPI,
  GenericError,
  initProducerIdV1,
  metadataV6,
  ProtocolError,
  produceV7,
  ResponseError,
  Writer,
} from '@platformatic/kafka';
import type { KafkaConfig } from '../../../config/config.ts';
import type { Sending, TopicProducer } from '../core/topic-appender.ts';
import {
  encodeRecords,
  type PartitionBatch,
  type ProduceArguments,
  produceEncoder,
} from '../core/encode.ts';
import type { Round } from '../core/plan.ts';
import { Brokers } from './brokers.ts';

/** Some 7 s in all: enough for a leader to move or a broker to start again. */
const TRIES = 11;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 1_000;
const BROKER_MS = 5_000;
/** Error code: the topic is gone; a leader that moved is told of otherwise. */
const UNKNOWN_TOPIC = 3;

const pack = promisify(gzip);

/**
 * An idempotent producer of one topic on the connections of @platformatic/kafka, with requests in our own encoding
 * (the versions are those of Kafka 2.1). The library's own producer makes several objects for each header, and resends
 * partitions that are stored under a new producer id when another one of the same request was not: they would be in
 * the log twice. Here every partition is told stored or not, and only what is not is sent again, under the same numbers.
 */
export function platformaticProducer(config: KafkaConfig, topic: string): TopicProducer {
  return new PlatformaticProducer(config, topic);
}

class PlatformaticProducer implements TopicProducer {
  readonly #topic: string;
  readonly #isGzip: boolean;
  readonly #brokers: Brokers;
  readonly #produce = produceApi();
  /** Node id by partition. */
  #leaders = new Map<number, number>();
  /** The next one by partition. */
  readonly #sequences = new Map<number, number>();
  #producerId = -1n;
  #producerEpoch = -1;
  #discarded = false;

  constructor(config: KafkaConfig, topic: string) {
    this.#topic = topic;
    this.#isGzip = config.compression === 'gzip';
    this.#brokers = new Brokers(config);
  }

  async connect(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#look();
        await this.#begin();
        return;
      } catch (error) {
        // What a broker answers while it starts passes; one that cannot be reached is told of at once.
        if (!(error instanceof ProtocolError) || !isPassing(error) || tries === TRIES) throw error;
        await this.#wait(tries, error);
      }
    }
  }

  send(round: Round): Sending {
    const stored = new Set<number>();
    return { done: this.#send(round, stored), isStored: (partition) => stored.has(partition) };
  }

  discard(): void {
    this.#discarded = true;
    this.#brokers.destroy();
  }

  async #send(round: Round, stored: Set<number>): Promise<void> {
    let left = await Promise.all(
      [...round].map(([partition, { records }]) => this.#batch(partition, records)),
    );
    for (let tries = 1; ; tries++) {
      const outcomes = await this.#try(left);
      const again: PartitionBatch[] = [];
      const failures: Error[] = [];
      for (const batch of left) {
        const { partition, firstSequence, messages } = batch;
        const failure = outcomes.get(partition);
        if (failure === null) {
          stored.add(partition);
          this.#sequences.set(partition, firstSequence + messages.length);
        } else {
          failures.push(failure ?? new Error(`partition ${partition} gave no answer`));
          again.push(batch);
        }
      }
      if (failures.length === 0) return;
      const failure = failures.find((error) => !isPassing(error));
      if (failure !== undefined || tries === TRIES) throw failure ?? failures[0];
      left = again;
      await this.#wait(tries, failures[0]!);
      await this.#look().catch((error: Error) => {
        if (!isPassing(error)) throw error;
      });
    }
  }

  async #batch(partition: number, messages: PartitionBatch['messages']): Promise<PartitionBatch> {
    const firstSequence = this.#sequences.get(partition) ?? 0;
    const batch = { partition, firstSequence, messages };
    return this.#isGzip ? { ...batch, packed: await pack(encodeRecords(messages)) } : batch;
  }

  /** One request to each leader; what became of each partition, null when it is stored. */
  async #try(batches: PartitionBatch[]): Promise<Map<number, Error | null>> {
    const outcomes = new Map<number, Error | null>();
    const byLeader = Map.groupBy(batches, ({ partition }) => this.#leaders.get(partition) ?? -1);
    const asked = [...byLeader].map(async ([leader, partitions]) => {
      try {
        const connection = await this.#brokers.of(leader);
        const { responses } = await answerTo(
          this.#produce.async(connection, {
            acks: -1,
            timeout: BROKER_MS,
            producerId: this.#producerId,
            producerEpoch: this.#producerEpoch,
            topicData: [{ topic: this.#topic, partitions }],
          }),
        );
        for (const { index, errorCode } of responses[0]?.partitionResponses ?? [])
          outcomes.set(index, errorCode === 0 ? null : new ProtocolError(errorCode));
      } catch (error) {
        for (const { partition } of partitions) outcomes.set(partition, error as Error);
      }
    });
    await Promise.all(asked);
    return outcomes;
  }

  /** Between two tries. Rejects with `failure` when there will be no other. */
  async #wait(tries: number, failure: Error): Promise<void> {
    const most = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS);
    await sleep(most * (0.5 + Math.random() / 2));
    if (this.#discarded) throw failure;
  }

  async #begin(): Promise<void> {
    const connection = await this.#brokers.any();
    const { errorCode, producerId, producerEpoch } = await answerTo(
      initProducerIdV1.api.async(connection, null, 0),
    );
    if (errorCode !== 0) throw new ProtocolError(errorCode);
    this.#producerId = producerId;
    this.#producerEpoch = producerEpoch;
  }

  /** Asks where the partitions are. Rejects with an error that does not pass when the topic is not there. */
  async #look(): Promise<void> {
    const connection = await this.#brokers.any();
    const { brokers, topics } = await answerTo(metadataV6.api.async(connection, [this.#topic], false));
    this.#brokers.update(brokers);
    const { errorCode, partitions } = topics[0]!;
    if (errorCode !== 0)
      throw new ProtocolError(errorCode, null, errorCode === UNKNOWN_TOPIC ? { canRetry: false } : {});
    this.#leaders = new Map(partitions.map(({ partitionIndex, leaderId }) => [partitionIndex, leaderId]));
  }
}

function produceApi() {
  // Native code where there is some; in this form the bytes are not copied.
  const encode = produceEncoder((bytes, start, end) =>
    crc32c(
      Writer.create().append(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)).dynamicBuffer,
    ),
  );
  return createAPI<[ProduceArguments], ReturnType<typeof produceV7.parseResponse>>(
    produceV7.api.key,
    produceV7.api.version,
    (request: ProduceArguments) => Writer.create().append(encode(request)),
    produceV7.parseResponse,
    false,
    false,
  );
}

/** The broker's answer, also when it tells of errors: the library makes one error of them all. */
async function answerTo<T>(asked: Promise<T>): Promise<T> {
  return asked.catch((error: unknown) => {
    if (error instanceof ResponseError && error.response !== undefined) return error.response as T;
    throw error;
  });
}

/** Whether the same may go well a moment later. */
function isPassing(error: Error): boolean {
  return error instanceof GenericError && error.canRetry === true;
}
