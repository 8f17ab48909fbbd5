import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ProtocolError } from '@platformatic/kafka';
import type { KafkaConfig } from '../../../config/log/types.ts';
import { encodeRecords } from '../core/encode.ts';
import type { Batches } from '../core/plan.ts';
import type { PartitionBatch } from '../core/produce-request.ts';
import type { Sending, TopicProducer } from '../core/topic-appender.ts';
import { Brokers } from './brokers.ts';
import { askMetadata, askProducerId, isTransient, makeProduce, type ProducerId } from './requests.ts';

/** Attempts of one send, about 7 s in all: enough for a leader to move or a broker to start again. */
const TRIES = 11;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 1_000;

const pack = promisify(gzip);

/**
 * An idempotent producer of one topic on the connections of @platformatic/kafka, with requests in our own encoding
 * (in the versions of Kafka 2.1). When a broker fails one partition of a request, the library's own producer sends the
 * others again under a new producer id, which stores them twice. Here each partition has its own outcome, and only the
 * failed ones are sent again, under the same sequence numbers. A change of the library fails append.test.ts,
 * faults.test.ts or leaders.test.ts; only this folder knows it.
 */
export function platformaticProducer(config: KafkaConfig, topic: string): TopicProducer {
  return new PlatformaticProducer(config, topic);
}

class PlatformaticProducer implements TopicProducer {
  readonly #topic: string;
  readonly #isGzip: boolean;
  readonly #brokers: Brokers;
  readonly #produce = makeProduce();
  /** Node id by partition. */
  #leaders = new Map<number, number>();
  /** Next sequence number by partition. */
  readonly #sequences = new Map<number, number>();
  #id: ProducerId = { producerId: -1n, producerEpoch: -1 };
  #discarded = false;

  constructor(config: KafkaConfig, topic: string) {
    this.#topic = topic;
    this.#isGzip = config.compression === 'gzip';
    this.#brokers = new Brokers(config);
  }

  async connect(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#findLeaders();
        this.#id = await askProducerId(await this.#brokers.any());
        return;
      } catch (error) {
        // A broker's answer while it starts may pass. One that cannot be reached is reported at once.
        if (!(error instanceof ProtocolError) || !isTransient(error) || tries === TRIES) throw error;
        await this.#wait(tries, error);
      }
    }
  }

  send(batches: Batches): Sending {
    const stored = new Set<number>();
    return { done: this.#send(batches, stored), isStored: (partition) => stored.has(partition) };
  }

  discard(): void {
    this.#discarded = true;
    this.#brokers.destroy();
  }

  async #send(batches: Batches, stored: Set<number>): Promise<void> {
    let left = await Promise.all(
      [...batches].map(([partition, { records }]) => this.#batch(partition, records)),
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
      const failure = failures.find((error) => !isTransient(error));
      if (failure !== undefined || tries === TRIES) throw failure ?? failures[0];
      left = again;
      await this.#wait(tries, failures[0]!);
      await this.#findLeaders().catch((error: Error) => {
        if (!isTransient(error)) throw error;
      });
    }
  }

  async #batch(partition: number, messages: PartitionBatch['messages']): Promise<PartitionBatch> {
    const firstSequence = this.#sequences.get(partition) ?? 0;
    const batch = { partition, firstSequence, messages };
    return this.#isGzip ? { ...batch, packed: await pack(encodeRecords(messages)) } : batch;
  }

  /** Sends one request to each leader. The outcome by partition is null when it is stored. */
  async #try(batches: PartitionBatch[]): Promise<Map<number, Error | null>> {
    const outcomes = new Map<number, Error | null>();
    const byLeader = Map.groupBy(batches, ({ partition }) => this.#leaders.get(partition) ?? -1);
    const asked = [...byLeader].map(async ([leader, partitions]) => {
      try {
        const connection = await this.#brokers.of(leader);
        const answers = await this.#produce(connection, this.#id, this.#topic, partitions);
        for (const [partition, outcome] of answers) outcomes.set(partition, outcome);
      } catch (error) {
        for (const { partition } of partitions) outcomes.set(partition, error as Error);
      }
    });
    await Promise.all(asked);
    return outcomes;
  }

  /** Waits before the next attempt. Rejects with `failure` when the producer was discarded meanwhile. */
  async #wait(tries: number, failure: Error): Promise<void> {
    const longest = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS);
    await sleep(longest * (0.5 + Math.random() / 2));
    if (this.#discarded) throw failure;
  }

  /** Rejects with an error that is not transient when the topic does not exist. */
  async #findLeaders(): Promise<void> {
    const { brokers, leaders, error } = await askMetadata(await this.#brokers.any(), this.#topic);
    this.#brokers.update(brokers);
    if (error !== null) throw error;
    this.#leaders = leaders;
  }
}
